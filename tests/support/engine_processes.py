"""A small catalog, engines over real processes, and what /proc says of them."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.base import BoundStatement, ResolvedReference, StatementLimits
from penstock_server.engines.duckdb.engine import DuckDbEngine, EngineBudgets
from penstock_server.engines.duckdb.launch import start_zygote
from penstock_server.engines.duckdb.session import DuckDbSession
from penstock_server.model.decision import CellCase, GovernedColumn, GovernedTable
from penstock_server.model.ports import ObjectStore, TableRegistry
from penstock_server.model.predicate import Always, Compare, Comparison, Constant, Predicate
from penstock_server.model.resource import TableName
from penstock_server.model.schema import Column, ColumnType, TableSchema, TypeFamily

SUPPORT = Path(__file__).parent
WEAK_ZYGOTE = ("-I", str(SUPPORT / "weak_zygote.py"))
PROBE_ZYGOTE = ("-I", str(SUPPORT / "probe_zygote.py"))
MEMORY = 1 << 30
ROWS = 20_000

ORDERS = TableSchema(
    name=TableName(catalog="lake", database="shop", table="orders"),
    columns=(
        Column(name="id", type=ColumnType(sql="BIGINT", family=TypeFamily.INTEGER)),
        Column(name="region", type=ColumnType(sql="VARCHAR", family=TypeFamily.TEXT)),
        Column(name="amount", type=ColumnType(sql="DOUBLE", family=TypeFamily.FLOAT)),
    ),
    location=None,
)
REGIONS = TableSchema(
    name=TableName(catalog="lake", database="shop", table="regions"),
    columns=(
        Column(name="name", type=ColumnType(sql="VARCHAR", family=TypeFamily.TEXT)),
        Column(name="manager", type=ColumnType(sql="VARCHAR", family=TypeFamily.TEXT)),
    ),
    location=None,
)
NORTH = Compare(column="region", op=Comparison.EQUAL, value="north")


def make_catalog(folder: Path) -> CatalogSettings:
    """Write `shop/orders.parquet`: ROWS orders, each second one of the north; and `shop/regions/`, in two files."""
    (folder / "shop").mkdir(parents=True)
    duckdb.sql(
        f"COPY (SELECT range AS id, CASE WHEN range % 2 = 0 THEN 'north' ELSE 'south' END AS region, "
        f"range * 0.5::DOUBLE AS amount FROM range({ROWS})) TO '{folder}/shop/orders.parquet'"
    )
    (folder / "shop" / "regions").mkdir()
    for number, (name, manager) in enumerate((("north", "Nia"), ("south", "Sol"))):
        duckdb.sql(
            f"COPY (SELECT '{name}' AS name, '{manager}' AS manager) TO '{folder}/shop/regions/{number}.parquet'"
        )
    return CatalogSettings(name="lake", kind=CatalogKind.PARQUET, path=folder, location=None)


def governed(*rows: Predicate, columns: tuple[str, ...] | None = None, schema: TableSchema = ORDERS) -> GovernedTable:
    """A table with these columns (None = all), and the rows where every predicate is TRUE."""
    clear = (CellCase(when=Always(), mask=None),)
    shown = tuple(
        GovernedColumn(column=column, cases=clear)
        for column in schema.columns
        if columns is None or column.name in columns
    )
    return GovernedTable(schema=schema, columns=shown, rows=rows)


def limits(
    *, timeout: float = 30, stall: float = 30, memory: int = MEMORY, max_rows: int | None = None
) -> StatementLimits:
    return StatementLimits(
        timeout=timedelta(seconds=timeout),
        stall_timeout=timedelta(seconds=stall),
        memory_bytes=memory,
        max_rows=max_rows,
    )


@dataclass
class Zygote:
    """A zygote whose control socket stays open here, so that many engines may use it one after the other."""

    pid: int
    control: socket.socket


@contextmanager
def zygote(entry: tuple[str, ...]) -> Iterator[Zygote]:
    started = start_zygote(entry)
    try:
        yield Zygote(pid=started.process.pid, control=started.control)
    finally:
        started.control.close()
        started.process.wait(10)


@asynccontextmanager
async def engine(
    zygote: Zygote | None,
    *catalogs: CatalogSettings,
    ahead: int = 1,
    memory: int = MEMORY,
    extracts: int = 0,
    resting: float = 2,
    extracts_from: int = 1,
    stores: Mapping[str, ObjectStore] | None = None,
    registries: Mapping[str, TableRegistry] | None = None,
) -> AsyncIterator[DuckDbEngine]:
    budgets = EngineBudgets(
        memory_bytes=memory,
        threads=1,
        workers_ahead=ahead,
        readers_ahead=ahead,
        extract_bytes=extracts,
        resting=timedelta(seconds=resting),
        extracts_from=extracts_from,
    )
    async with DuckDbEngine(catalogs=catalogs, budgets=budgets, stores=stores, registries=registries) as made:
        if zygote is not None:
            made.attach(zygote.control.dup())
        yield made


async def prepare(
    session: DuckDbSession,
    sql: str,
    *tables: GovernedTable,
    parameters: tuple[Constant | None, ...] = (),
    fingerprint: str | None = None,
    expires_at: datetime | None = None,
) -> BoundStatement:
    """Take a statement up to the point where it can run; a reference means the table of its last part."""
    references = await session.parse(sql)
    named = {table.name.table: table for table in tables}
    resolved = [
        ResolvedReference(
            reference=reference,
            table=named[reference.parts[-1]],
            fingerprint=fingerprint,
            expires_at=expires_at,
        )
        for reference in references
    ]
    bound = await session.bind(resolved, parameters)
    await session.supply()
    return bound


def decoded(bound: BoundStatement, messages: list[bytes]) -> list[dict[str, object]]:
    schema = pa.ipc.read_schema(pa.py_buffer(bound.schema))
    batches = [pa.ipc.read_record_batch(pa.py_buffer(message), schema) for message in messages]
    return [row for batch in batches for row in batch.to_pylist()]


async def answer(
    made: DuckDbEngine,
    sql: str,
    *tables: GovernedTable,
    within: StatementLimits | None = None,
    parameters: tuple[Constant | None, ...] = (),
    fingerprint: str | None = None,
) -> list[dict[str, object]]:
    """Run one statement to its end."""
    async with made.session(within or limits()) as session:
        bound = await prepare(session, sql, *tables, parameters=parameters, fingerprint=fingerprint)
        return decoded(bound, [message async for message in session.run()])


def state(pid: int) -> str:
    """The process's state letter, or "gone"; a zombie counts as gone: it runs nothing and holds no memory."""
    try:
        letter = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"
    return "gone" if letter in "ZX" else letter


def children(pid: int) -> list[int]:
    """Living children of all threads of a process."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            found += [int(number) for number in Path(f"/proc/{pid}/task/{task}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [child for child in found if state(child) != "gone"]


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def until(true: Callable[[], bool], *, within: float, what: str) -> None:
    """Wait for something that another process does; polling, as /proc tells nobody."""
    clock = asyncio.get_running_loop()
    end = clock.time() + within
    while not true():
        if clock.time() > end:
            raise AssertionError(f"not within {within} s: {what}")
        await asyncio.sleep(0.002)


def proc(pid: int, name: str) -> str:
    """A file of a process in /proc."""
    return Path(f"/proc/{pid}/{name}").read_text()


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def worker_of(session: DuckDbSession) -> int:
    """The process of a session's sealed worker."""
    assert session._worker is not None
    return session._worker.process


def waits_on_pipe(session: DuckDbSession) -> bool:
    return "pipe" in proc(worker_of(session), "wchan") if session._worker is not None else False


def cut(file: Path) -> None:
    """Cut a file in half."""
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])


def widen(catalog: CatalogSettings, *, kilobytes: int, rows: int) -> None:
    """Give orders texts of this length that differ from row to row."""
    duckdb.sql(
        f"COPY (SELECT range AS id, rpad(hash(range)::VARCHAR, {kilobytes * 1000}, sha256(range::VARCHAR)) AS region, "
        f"range * 0.5::DOUBLE AS amount FROM range({rows})) TO '{catalog.path}/shop/orders.parquet' "
        f"(COMPRESSION zstd, ROW_GROUP_SIZE 500)"
    )


def leads_session(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False
