"""Many rows streamed: the engine's Arrow messages against `pyarrow.flight`, over the same rows in the same run.

    PYTHONPATH=tests python -m bench.streams FOLDER [ROWS ...]

FOLDER holds `tpch/*.parquet`; rows of `lineitem` are taken in eight columns, again and again past its end. Wall time
after the extract is there; memory is the most that the worker of the statement held.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from penstock_server.engines.duckdb.launch import ZYGOTE
from pyarrow import flight
from support import engine_processes as processes

from bench import tpch
from bench.query_cost import EXTRACTS, MEMORY, Door

COLUMNS = (
    "l_orderkey, l_partkey, l_suppkey, l_linenumber, l_quantity::double q, l_extendedprice::double p, "
    "l_shipdate, l_returnflag"
)
ROUNDS = 3


class Everything(flight.FlightServerBase):  # type: ignore[misc]  # pyarrow has no types
    """Gives one table to whoever asks."""

    def __init__(self, table: pa.Table) -> None:
        super().__init__("grpc://127.0.0.1:0")
        self._table = table

    def do_get(self, _context: flight.ServerCallContext, _ticket: flight.Ticket) -> flight.RecordBatchStream:
        """Stream the table."""
        return flight.RecordBatchStream(self._table)


def by_flight(table: pa.Table) -> float:
    """Give the seconds that Flight takes for a table, the better of some."""
    with Everything(table) as server:
        threading.Thread(target=server.serve, daemon=True).start()
        found = []
        with flight.connect(f"grpc://127.0.0.1:{server.port}") as client:
            for _ in range(ROUNDS):
                began = time.perf_counter()
                rows = sum(chunk.data.num_rows for chunk in client.do_get(flight.Ticket(b"")))
                found.append(time.perf_counter() - began)
                if rows != table.num_rows:
                    raise RuntimeError("Flight gave other rows")
        server.shutdown()
    return min(found)


async def by_door(door: Door, sql: str) -> float:
    """Give the seconds in which the engine hands all of an answer to the front, the better of some."""
    return min([(await door.ask(sql)).last for _ in range(ROUNDS)])


async def main(folder: Path, counts: Sequence[int]) -> None:
    """Stream each number of rows both ways."""
    with tempfile.TemporaryDirectory() as work, processes.zygote(ZYGOTE) as zygote:
        catalog = tpch.catalog(folder, "parquet")
        async with processes.engine(zygote, catalog, memory=MEMORY, extracts=EXTRACTS, resting=0) as engine:
            door = Door(engine=engine, zygote=zygote, tables=await tpch.decisions(engine, Path(work), tpch.policy()))
            connection = tpch.by_hand(folder, "parquet")
            for count in counts:
                sql = f"select {COLUMNS} from lineitem, range(3) limit {count}"
                table = connection.sql(sql).to_arrow_table()
                await door.ask(sql)
                ours, theirs = await by_door(door, sql), by_flight(table)
                size = table.nbytes / 2**20
                speeds = f"engine {size / ours:.0f} MiB/s, flight {size / theirs:.0f} MiB/s, {theirs / ours:.2f}x of it"
                held = f"the most that a worker held {door.peak / 2**20:.0f} MiB"
                print(f"{count:,} rows, {size:.0f} MiB: {speeds}; {held}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), [int(one) for one in sys.argv[2:]] or [1_000_000, 10_000_000]))
