"""Queries end to end against DuckDB and pyarrow on the same files in the same run."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
from support.calls import client
from support.server import ServerProcess

from bench.world import flights_server, timed, token, tree_seconds

SMALL = "select carrier, count(*) n, avg(dep_delay) d from nyc.flights where origin = 'JFK' group by carrier order by n"
ROUNDS = 15
SUSTAINED_SECONDS = 10.0


def small_query(server: ServerProcess, flights: Path) -> None:
    """One small governed aggregate: end to end, against DuckDB in process over the same rows."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(f"create view flights as select * exclude (tailnum) from '{flights}' where month = 1")
    by_hand = SMALL.replace("nyc.flights", "flights")
    with client(server.address, token("analysts")) as analyst:
        assert analyst.query(SMALL).table.num_rows == len(connection.sql(by_hand).fetchall())
        ours = timed(lambda: analyst.query(SMALL), rounds=ROUNDS, pause=0.3)
        theirs = timed(lambda: connection.sql(by_hand).to_arrow_table(), rounds=ROUNDS)
    ratio = ours / theirs
    print(f"small query: {ours * 1000:.1f} ms end to end, {ratio:.1f}x DuckDB in process ({theirs * 1000:.1f} ms)")


def sustained(server: ServerProcess) -> None:
    """Small queries by four callers at once for a while."""
    done: list[None] = []
    until = time.perf_counter() + SUSTAINED_SECONDS

    def caller() -> None:
        with client(server.address, token("analysts")) as analyst:
            while time.perf_counter() < until:
                analyst.query(SMALL)
                done.append(None)

    before, began = tree_seconds(server), time.perf_counter()
    threads = [threading.Thread(target=caller) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took, used = time.perf_counter() - began, tree_seconds(server) - before
    print(f"sustained: {len(done) / took:.1f} small queries/s, {len(done) / used:.1f} for each core-second")


def everything(server: ServerProcess, flights: Path) -> None:
    """All flights through the door, against pyarrow reading the same file."""
    with client(server.address, token("ops")) as operations:
        rows = operations.query("select * from nyc.flights").table.num_rows
        assert rows == pq.read_table(flights).num_rows
        ours = timed(lambda: operations.query("select * from nyc.flights"), rounds=5)
        theirs = timed(lambda: pq.read_table(flights, use_threads=False), rounds=5)
    print(f"{rows:,} rows: {ours:.2f} s through the door, {ours / theirs:.1f}x pyarrow from the file ({theirs:.2f} s)")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, flights_server(Path(folder)) as server:
        flights = Path(folder) / "lake" / "nyc" / "flights.parquet"
        small_query(server, flights)
        sustained(server)
        everything(server, flights)


if __name__ == "__main__":
    main()
