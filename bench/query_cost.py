"""What governing costs: TPC-H through the engine, against a WHERE written by hand over the same source in the same run.

    PYTHONPATH=tests python -m bench.query_cost FOLDER [parquet|native] [shares | QUERY ...]

FOLDER holds `tpch/*.parquet`. Times are processor time of all processes that take part, the forks ahead among them;
first rows are waited for, in wall time.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean, median

import pyarrow as pa
from penstock_server.engines.base import ResolvedReference
from penstock_server.engines.duckdb.engine import DuckDbEngine
from penstock_server.engines.duckdb.launch import ZYGOTE
from penstock_server.model.decision import TableDecision
from support import engine_processes as processes

from bench import tpch
from bench.world import processor_seconds

EXTRACTS = 2 << 30
MEMORY = 3 << 30
SHARES = {
    "1 %": "l_quantity <= 1 AND l_linenumber < 3",
    "10 %": "l_quantity <= 5",
    "50 %": "l_quantity <= 25",
    "100 %": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Processor seconds of everything, and wall seconds to the first batch and to the last."""

    processor: float
    first: float
    last: float
    rows: int


@dataclass(slots=True, kw_only=True)
class Door:
    """An engine with the decisions of one person."""

    engine: DuckDbEngine
    zygote: processes.Zygote
    tables: Mapping[str, TableDecision]
    peak: int = 0
    """The most bytes that a child had in memory when it had given all."""

    async def ask(self, sql: str, *, kept: bool = True, first: str = "") -> Cost:
        """Run a statement to its end; `kept` False = rows come inline. `first` names a decision not seen before."""
        await self._calm()
        before, began, arrived, rows = self._processor(), time.perf_counter(), 0.0, 0
        async with self.engine.session(processes.limits(timeout=170, memory=MEMORY)) as session:
            references = await session.parse(sql)
            resolved = [
                ResolvedReference(
                    reference=one,
                    table=self.tables[one.parts[-1]].table,
                    fingerprint=first + self.tables[one.parts[-1]].fingerprint if kept else None,
                )
                for one in references
            ]
            bound = await session.bind(resolved, ())
            await session.supply()
            schema = pa.ipc.read_schema(pa.py_buffer(bound.schema))
            async for message in session.run():
                arrived = arrived or time.perf_counter() - began
                rows += pa.ipc.read_record_batch(pa.py_buffer(message), schema).num_rows
            last = time.perf_counter() - began
            self.peak = max([self.peak, *map(_peak, processes.children(self.zygote.pid))])
        await self._calm()
        return Cost(processor=self._processor() - before, first=arrived or last, last=last, rows=rows)

    def _processor(self) -> float:
        """Processor time of this process, of the zygote, of its children that live and of those that ended."""
        return time.process_time() + self._forked()

    def _forked(self) -> float:
        total = 0.0
        for pid in (self.zygote.pid, *processes.children(self.zygote.pid)):
            try:
                total += processor_seconds(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue
        return total

    async def _calm(self) -> None:
        """Let forks ahead come to rest, so that each statement pays for its own."""
        last = -1.0
        while (now := self._forked()) > last:
            last = now
            await asyncio.sleep(0.08)


def _peak(pid: int) -> int:
    """Give the most bytes that a process has had in memory, 0 where it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def by_hand(run: Callable[[], object]) -> float:
    """Give the processor seconds of a query in this process, the better of two."""
    found = []
    for _ in range(2):
        began = time.process_time()
        run()
        found.append(time.process_time() - began)
    return min(found)


async def compare(door: Door, folder: Path, storage: str, queries: Mapping[str, str]) -> None:
    """Cold (the first statement), making (the second), and warm, each as a ratio to the WHERE written by hand."""
    ratios: dict[str, list[float]] = {"cold": [], "making": [], "warm": []}
    for name, sql in queries.items():
        connection = tpch.by_hand(folder, storage)
        hand = by_hand(lambda: connection.sql(sql).to_arrow_table())  # noqa: B023 - called at once
        rows = connection.sql(sql).to_arrow_table().num_rows
        connection.close()
        door.engine.extracts.drop()
        # The better of two, as by hand; the last one is the decision of what follows.
        cold = min([await door.ask(sql, first=f"{name} {turn} ") for turn in range(2)], key=lambda cost: cost.processor)
        making = await door.ask(sql, first=f"{name} 1 ")
        warm = min([await door.ask(sql, first=f"{name} 1 ") for _ in range(3)], key=lambda cost: cost.processor)
        assert rows == cold.rows == making.rows == warm.rows, name
        costs = {"cold": cold, "making": making, "warm": warm}
        for kind, cost in costs.items():
            ratios[kind].append(cost.processor / hand)
        told = ", ".join(f"{kind} {cost.processor:.3f} ({cost.processor / hand:.2f}x)" for kind, cost in costs.items())
        print(f"{storage} {name}: by hand {hand:.3f} s; {told}", flush=True)
    means = ", ".join(f"{kind} {geometric_mean(found):.2f}x" for kind, found in ratios.items())
    print(f"{storage}: geometric means of {len(queries)} queries: {means}", flush=True)


async def shares(door: Door, work: Path, folder: Path, storage: str) -> None:
    """One aggregate as more of the table is visible, and by rules of each person."""
    sql = tpch.SHAPES["aggregate"]
    for name, condition in SHARES.items():
        rows = {"lineitem": condition} if condition else {}
        door.tables = await tpch.decisions(door.engine, work, tpch.policy(rows))
        connection = tpch.by_hand(folder, storage, rows)
        hand = by_hand(lambda: connection.sql(sql).to_arrow_table())  # noqa: B023 - called at once
        connection.close()
        cold, making, warm = [await door.ask(sql) for _ in range(3)]
        size = door.engine.extracts.bytes
        print(
            f"{storage} {name} visible: by hand {hand:.3f} s, cold {cold.processor / hand:.2f}x, "
            f"making {making.processor / hand:.2f}x, warm {warm.processor / hand:.2f}x, "
            f"extract {size / 2**20:.1f} MiB",
            flush=True,
        )
        door.engine.extracts.drop()
    door.tables = await tpch.decisions(door.engine, work, tpch.policy(rules=True))
    connection = tpch.by_hand(folder, storage, rules=True)
    hand = by_hand(lambda: connection.sql(sql).to_arrow_table())
    connection.close()
    cold, _, warm = [await door.ask(sql) for _ in range(3)]
    print(
        f"{storage} per-person rules: cold {cold.processor / hand:.2f}x, warm {warm.processor / hand:.2f}x", flush=True
    )


async def small(door: Door, folder: Path, storage: str) -> None:
    """The first row of a small query, warm: waiting time, against DuckDB in process."""
    sql = "select r_name, count(*) n from nation, region where n_regionkey = r_regionkey group by all order by all"
    for _ in range(2):
        await door.ask(sql)
    ours = [await door.ask(sql) for _ in range(15)]
    connection = tpch.by_hand(folder, storage)
    theirs = []
    for _ in range(15):
        began = time.perf_counter()
        connection.sql(sql).to_arrow_table()
        theirs.append(time.perf_counter() - began)
    first, hand = median(cost.first for cost in ours), median(theirs)
    spent = median(cost.processor for cost in ours)
    print(
        f"{storage} small query: first row {first * 1000:.1f} ms, {first / hand:.1f}x DuckDB in process "
        f"({hand * 1000:.1f} ms); {spent * 1000:.0f} ms of processor, the next worker's start among them",
        flush=True,
    )


async def main(folder: Path, storage: str, names: Sequence[str]) -> None:
    """Run all of it over one storage."""
    tpch.make_native(folder)
    queries = {**{name: sql for name, sql in tpch.QUERIES.items() if name in names or not names}, **tpch.SHAPES}
    with tempfile.TemporaryDirectory() as work, processes.zygote(ZYGOTE) as zygote:
        catalog = tpch.catalog(folder, storage)
        engines = processes.engine(zygote, catalog, memory=MEMORY, extracts=EXTRACTS, resting=0, extracts_from=2)
        async with engines as engine:
            tables = await tpch.decisions(engine, Path(work), tpch.policy())
            door = Door(engine=engine, zygote=zygote, tables=tables)
            if names != ["shares"]:
                await small(door, folder, storage)
                await compare(door, folder, storage, queries)
            await shares(door, Path(work), folder, storage)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "parquet", sys.argv[3:]))
