"""Decisions a second, authenticated and audited, against an empty echo with the same headers, in turns."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import grpc
import uvloop
from penstock.v1.access_service_pb2 import CheckAccessRequest

from bench.world import flights_server, processor_seconds, token

ROUNDS = 5
CALLS = 2_000
IN_FLIGHT = 64
CHANNELS = 4


async def load(address: str, method: str, request: bytes, metadata: tuple[tuple[str, str], ...]) -> float:
    """Call a method CALLS times, IN_FLIGHT at once; gives calls a second."""
    channels = [
        grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) for _ in range(CHANNELS)
    ]
    left = iter(range(CALLS))

    async def caller(number: int) -> None:
        call: Any = channels[number % CHANNELS].unary_unary(method)
        for _ in left:
            await call(request, metadata=metadata, timeout=30)

    await asyncio.gather(*(channel.channel_ready() for channel in channels))
    began = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(IN_FLIGHT)))
    took = time.perf_counter() - began
    for channel in channels:
        await channel.close()
    return CALLS / took


async def one_at_a_time(address: str, method: str, request: bytes, metadata: tuple[tuple[str, str], ...]) -> float:
    """The median time of a call alone, in milliseconds."""
    async with grpc.aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(method)
        times = []
        for _ in range(200):
            began = time.perf_counter()
            await call(request, metadata=metadata, timeout=30)
            times.append(time.perf_counter() - began)
    return median(times) * 1000


async def compare(decisions: tuple[str, int], echo: tuple[str, int]) -> None:
    """Run both in turns and print."""
    metadata = (("authorization", f"Bearer {token('analysts')}"),)
    request = CheckAccessRequest(tables=["lake.nyc.flights"]).SerializeToString()
    targets = {
        "decision": (*decisions, "/penstock.v1.AccessService/CheckAccess", request),
        "echo": (*echo, "/bench.Echo/Echo", b""),
    }
    rates: dict[str, list[float]] = {name: [] for name in targets}
    costs: dict[str, list[float]] = {name: [] for name in targets}
    for _ in range(ROUNDS + 1):
        for name, (address, pid, method, message) in targets.items():
            before = processor_seconds(pid)
            rates[name].append(await load(address, method, message, metadata))
            costs[name].append((processor_seconds(pid) - before) / CALLS * 1e6)
    for name in targets:  # the first round warms up
        del rates[name][0], costs[name][0]
    alone = {
        name: await one_at_a_time(address, method, message, metadata)
        for name, (address, _, method, message) in targets.items()
    }
    for name in targets:
        rate, cost = median(rates[name]), median(costs[name])
        print(f"{name:>9}: {rate:7.0f} calls/s, {cost:5.0f} us of server CPU a call, {alone[name]:.2f} ms alone")
    rate = median(rates["decision"]) / median(rates["echo"])
    cost = median(costs["decision"]) / median(costs["echo"])
    print(f"decision against echo: {rate:.2f} of its calls a second (must 0.6, goal 0.8), {cost:.1f}x its server CPU")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, flights_server(Path(folder)) as server:
        echo = subprocess.Popen([sys.executable, Path(__file__).with_name("echo_server.py")], stdout=subprocess.PIPE)
        try:
            assert echo.stdout is not None
            port = int(echo.stdout.readline())
            uvloop.run(compare((server.address, server.front().pid), (f"127.0.0.1:{port}", echo.pid)))
        finally:
            echo.terminate()
            echo.wait()


if __name__ == "__main__":
    main()
