"""A real peer: PostgreSQL row security with column grants, and the engine, over the same rows and the same queries.

    PYTHONPATH=tests python -m bench.postgres_peer FOLDER

Each is compared with the WHERE written by hand in its own engine: what differs is the price of governing, not the
engine. FOLDER holds `tpch/*.parquet`; `lineitem` is loaded into a PostgreSQL server of its own. Processor time; the
server's is that of the backend.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import psycopg
from penstock_server.engines.duckdb.launch import ZYGOTE
from support import engine_processes as processes
from support.postgres_server import OWNER, connected, postgres_server

from bench import tpch
from bench.query_cost import EXTRACTS, MEMORY, Door, by_hand
from bench.world import processor_seconds

QUERIES = {**{name: tpch.QUERIES[name] for name in ("q01", "q06")}, **tpch.SHAPES}
ROLE = "analyst"


@contextmanager
def _loaded(folder: Path) -> Iterator[str]:
    """Start a server with `lineitem`, an index on the order's key, a policy on rows and grants on columns."""
    connection = duckdb.connect()
    source = f"'{folder / 'tpch' / 'lineitem.parquet'}'"
    described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    columns = {name: kind.replace("VARCHAR", "text") for name, kind, *_ in described}
    with (
        tempfile.NamedTemporaryFile(suffix=".csv") as csv,
        postgres_server() as server,
        connected(server, OWNER) as owner,
    ):
        connection.execute(f"COPY (FROM {source}) TO '{csv.name}' (HEADER false)")
        owner.execute("SET max_parallel_workers_per_gather = 0")
        owner.execute(f"CREATE TABLE lineitem ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
        copying = owner.cursor().copy("COPY lineitem FROM STDIN (FORMAT csv)")
        # DuckDB: puts another file in the place of the one that was there (2.0.0).
        with Path(csv.name).open("rb") as written, copying as copy:
            for block in iter(lambda: written.read(1 << 20), b""):
                copy.write(block)
        owner.execute("CREATE INDEX ON lineitem (l_orderkey)")
        owner.execute(f"CREATE ROLE {ROLE} LOGIN")
        owner.execute("ALTER TABLE lineitem ENABLE ROW LEVEL SECURITY")
        owner.execute(f"CREATE POLICY modes ON lineitem FOR SELECT TO {ROLE} USING ({tpch.ROWS['lineitem']})")
        shown = ", ".join(name for name in columns if name != "l_comment")
        owner.execute(f"GRANT SELECT ({shown}) ON lineitem TO {ROLE}")
        owner.execute(f"CREATE VIEW by_hand AS SELECT {shown} FROM lineitem WHERE {tpch.ROWS['lineitem']}")
        owner.execute("VACUUM ANALYZE lineitem")
        yield server


def _backend(connection: psycopg.Connection[tuple[object, ...]]) -> Callable[[str], float]:
    connection.execute("SET max_parallel_workers_per_gather = 0")
    pid = connection.info.backend_pid

    def spent(sql: str) -> float:
        found = []
        for _ in range(3):
            before = processor_seconds(pid)
            times = 1 if "l_orderkey = " not in sql else 200
            for _ in range(times):
                connection.execute(sql).fetchall()
            found.append((processor_seconds(pid) - before) / times)
        return min(found)

    return spent


async def main(folder: Path) -> None:
    """Run both."""
    with _loaded(folder) as server, connected(server, ROLE) as analyst, connected(server, OWNER) as owner:
        governed, hand = _backend(analyst), _backend(owner)
        for name, sql in QUERIES.items():
            asked = re.sub(r"interval (\d+) (\w+)", r"interval '\1 \2'", sql)
            ours, theirs = governed(asked), hand(asked.replace("from lineitem", "from by_hand"))
            ratio = f"{ours / theirs:.2f}x" if theirs else "too small to tell"
            print(f"PostgreSQL {name}: by hand {theirs * 1000:.2f} ms, row security {ours * 1000:.2f} ms, {ratio}")
    tpch.make_native(folder)
    with tempfile.TemporaryDirectory() as work, processes.zygote(ZYGOTE) as zygote:
        catalog = tpch.catalog(folder, "native")
        async with processes.engine(zygote, catalog, memory=MEMORY, extracts=EXTRACTS, resting=0) as engine:
            door = Door(engine=engine, zygote=zygote, tables=await tpch.decisions(engine, Path(work), tpch.policy()))
            for name, sql in QUERIES.items():
                connection = tpch.by_hand(folder, "native")
                theirs = by_hand(lambda: connection.sql(sql).to_arrow_table())  # noqa: B023 - called at once
                connection.close()
                await door.ask(sql)
                ours = min([(await door.ask(sql)).processor for _ in range(3)])
                print(
                    f"Penstock {name}: by hand {theirs * 1000:.2f} ms, warm {ours * 1000:.2f} ms, {ours / theirs:.2f}x"
                )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
