"""The same on the event loop that the front runs on."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
import uvloop
from penstock_server.config.settings import CatalogSettings
from penstock_server.engines.duckdb.engine import DuckDbEngine
from penstock_server.engines.duckdb.launch import ZYGOTE
from penstock_server.errors import LimitExceeded, Reason, Unavailable
from support import engine_processes as processes
from support.engine_processes import NORTH, ROWS, governed, limits

ENDLESS = "SELECT sum(a.range * b.range + a.range % 7) AS s FROM range(1000000) a, range(1000000) b"
STREAM = "SELECT o.*, repeat('x', 500) AS pad FROM shop.orders o, range(50)"


async def scenario(zygote: processes.Zygote, catalog: CatalogSettings) -> None:
    async with processes.engine(zygote, catalog, ahead=2) as engine:
        assert len((await engine.inspect()).tables) == 2
        await answers(engine)
        before = await descriptors_at_rest()
        await endings(engine)
        assert await descriptors_at_rest() <= before
        await loss(engine, zygote)


async def descriptors_at_rest() -> int:
    """How many descriptors are open once the processes that are kept ahead have been replaced."""
    counts: list[int] = []

    def unchanged() -> bool:
        counts.append(len(os.listdir("/proc/self/fd")))
        return len(counts) > 250 and len(set(counts[-250:])) == 1

    await processes.until(unchanged, within=20, what="the number of descriptors is at rest")
    return counts[-1]


async def answers(engine: DuckDbEngine) -> None:
    sql = "SELECT count(*) AS n FROM shop.orders"
    many = await asyncio.gather(*(processes.answer(engine, sql, governed(NORTH)) for _ in range(5)))
    assert many == [[{"n": ROWS // 2}]] * 5
    assert len(await processes.answer(engine, "SELECT * FROM shop.orders", governed())) == ROWS


async def endings(engine: DuckDbEngine) -> None:
    async with engine.session(limits()) as session:
        await processes.prepare(session, ENDLESS)
        running = asyncio.ensure_future(anext(session.run()))
        await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    with pytest.raises(LimitExceeded) as caught:
        await processes.answer(engine, ENDLESS, within=limits(timeout=0.5))
    assert caught.value.reason is Reason.QUERY_TIMEOUT
    async with engine.session(limits(stall=0.2)) as session:
        await processes.prepare(session, STREAM, governed())
        stream = session.run()
        await anext(stream)
        worker = processes.worker_of(session)
        await processes.until(lambda: processes.state(worker) == "gone", within=5, what="the worker is given up")
        with pytest.raises(LimitExceeded) as caught:
            await anext(stream)
    assert caught.value.reason is Reason.QUERY_STALLED


async def loss(engine: DuckDbEngine, zygote: processes.Zygote) -> None:
    async with engine.session(limits()) as session:
        await processes.prepare(session, ENDLESS)
        running = asyncio.ensure_future(anext(session.run()))
        await asyncio.sleep(0.05)
        os.kill(zygote.pid, signal.SIGKILL)
        with pytest.raises(Unavailable) as caught:
            await running
    assert caught.value.reason is Reason.WORKER_LOST


def test_statements_run_end_and_are_lost_on_uvloop_too(catalog: CatalogSettings) -> None:
    with processes.zygote(ZYGOTE) as started:
        uvloop.run(scenario(started, catalog))
