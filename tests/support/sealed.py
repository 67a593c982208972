"""The way of a statement through a sealed instance, in one process and without its processes: for tests of the SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
from penstock_server.engines.base import BoundStatement
from penstock_server.engines.duckdb import binding, errors, instance, metadata, parsing, running
from penstock_server.engines.duckdb.extracts.layout import PRESENT
from penstock_server.engines.duckdb.shapes import ShapedColumn, TableShape, VisibleTable
from penstock_server.engines.duckdb.signature import Values
from penstock_server.errors import PenstockError
from penstock_server.model.predicate import Constant
from penstock_server.model.resource import TableName, fold

MEMORY_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A governed table of a test: full name with dots, (column, type) pairs, and its rows in that order."""

    name: str
    columns: tuple[tuple[str, str], ...]
    rows: pa.Table

    @property
    def table_name(self) -> TableName:
        catalog, database, table = self.name.split(".")
        return TableName(catalog=catalog, database=database, table=table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a caller gets: an answer, or an error."""

    schema: bytes = b""
    batches: tuple[bytes, ...] = ()
    error: PenstockError | None = None
    bound: BoundStatement | None = None

    @property
    def table(self) -> pa.Table:
        assert self.error is None, repr(self.error)
        schema = pa.ipc.read_schema(pa.py_buffer(self.schema))
        batches = [pa.ipc.read_record_batch(pa.py_buffer(batch), schema) for batch in self.batches]
        return pa.Table.from_batches(batches, schema)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        table = self.table
        columns = [column.to_pylist() for column in table.columns]
        return list(zip(*columns, strict=True))


FLIGHTS = Table(
    name="lake.nyc.flights",
    columns=(("id", "INTEGER"), ("carrier", "VARCHAR"), ("delay", "DOUBLE")),
    rows=pa.table(
        {
            "id": pa.array([1, 2, 3, 4], pa.int32()),
            "carrier": ["AA", "B6", None, "AA"],
            "delay": [1.5, None, -2.0, 0.25],
        }
    ),
)

AIRLINES = Table(
    name="lake.nyc.airlines",
    columns=(("carrier", "VARCHAR"), ("name", "VARCHAR")),
    rows=pa.table({"carrier": ["AA", "B6"], "name": ["American", "JetBlue"]}),
)


def sealed(*, memory_bytes: int = MEMORY_BYTES) -> duckdb.DuckDBPyConnection:
    return instance.open_sealed(memory_bytes=memory_bytes)


def shapes(tables: Sequence[Table], references: Iterable[tuple[str, ...]]) -> tuple[TableShape, ...]:
    """Resolve as the front does: by the last parts of a full name, ASCII case aside; unknown names do not exist."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for reference in references:
        folded = tuple(fold(part) for part in reference)
        owner = next((table for table in tables if table.table_name.key()[3 - len(folded) :] == folded), None)
        if owner is None or len(folded) > 3:
            raise errors.table_not_found(".".join(reference), None)
        found.setdefault(owner.name, []).append(reference)
    return tuple(
        TableShape(
            name=table.table_name,
            references=tuple(found[table.name]),
            columns=tuple(ShapedColumn(name=name, sql_type=kind) for name, kind in table.columns),
        )
        for table in tables
        if table.name in found
    )


def ask(
    sql: str,
    *,
    tables: Sequence[Table] = (FLIGHTS, AIRLINES),
    parameters: Sequence[Constant | None] | Mapping[str, Constant | None] = (),
    memory_bytes: int = MEMORY_BYTES,
) -> Answer:
    """Parse, resolve, bind, supply and run one statement in a fresh sealed instance."""
    connection = sealed(memory_bytes=memory_bytes)
    try:
        return _ask(connection, sql, tables, parameters)
    except Exception as error:  # noqa: BLE001 - as the worker does
        return Answer(error=errors.translate(error, sql=sql, memory_bytes=memory_bytes))
    finally:
        connection.close()


def _ask(connection: duckdb.DuckDBPyConnection, sql: str, tables: Sequence[Table], parameters: Values) -> Answer:
    parsed = parsing.parse(connection, sql)
    if parsed.lists_tables:
        metadata.declare(connection, [visible(table) for table in tables], catalog=None)
        declaration = binding.Declaration(tables=(), lists_tables=True)
    else:
        declaration = binding.declare(connection, shapes(tables, [reference.parts for reference in parsed.tables]))
    bound = running.bind(connection, declaration, parsed, parameters)
    given = {table.table_name.key(): table for table in tables}
    for name, columns in bound.used_columns:
        binding.publish(connection, declaration, name, columns, supply(given[name.key()], columns))
    schema, batches = running.answer(connection, declaration, parsed, parameters, bound)
    return Answer(schema=schema, batches=tuple(batches), bound=bound)


def visible(table: Table) -> VisibleTable:
    columns = tuple(ShapedColumn(name=name, sql_type=kind) for name, kind in table.columns)
    return VisibleTable(name=table.table_name, columns=columns)


def supply(table: Table, columns: Sequence[str]) -> pa.RecordBatchReader:
    """Give the rows as a reader would: the used columns, or one constant column."""
    if not columns:
        return pa.table({PRESENT: pa.array([True] * table.rows.num_rows, pa.bool_())}).to_reader()
    return table.rows.select(list(columns)).to_reader()
