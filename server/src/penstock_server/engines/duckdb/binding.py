"""A statement bound against empty tables of the governed shape, and the same tables once their rows are there.

Every table is a view under its catalog's name over a store that no statement can name: `declare` makes the stores
empty, `bind` learns what the statement needs of them, `publish` fills one. A column that the statement does not need
is not supplied; should the engine ask for it all the same, the statement fails instead of answering with NULLs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from penstock_server.engines.base import BoundStatement
from penstock_server.engines.duckdb import canonical, errors, instance, parsing, pinned_types, plans, signature
from penstock_server.engines.duckdb.extracts.layout import PRESENT, TABLE
from penstock_server.engines.duckdb.identifiers import quoted, text_literal
from penstock_server.engines.duckdb.shapes import TableShape
from penstock_server.engines.duckdb.signature import Values
from penstock_server.errors import QueryError, Reason
from penstock_server.model.resource import TableName, fold

STORE = "penstock_store"
"""The database of the stores; no configured catalog may be called so."""

EXTRACT = "penstock_extract"
"""How the names of attached extracts begin; no configured catalog's may."""

_UNSUPPLIED = (
    f"CAST(CAST(CAST(nullif(concat({text_literal(errors.UNSUPPLIED)}, CAST({{kept}} AS VARCHAR)), '') AS INTEGER) "
    "AS VARCHAR) AS {type})"
)
"""What stands for a column that was not supplied: it fails as soon as something asks for its value.

DuckDB: it depends on a column that is there, and may be NULL, so that no optimizer can settle its value beforehand; and
it is not volatile as `error()` is, which would keep common tables from being inlined (2.0.0)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """The tables of one statement as they stand in the sealed instance, numbered as their stores.

    `lists_tables` says that it asks which tables there are instead (`metadata`).
    """

    tables: tuple[TableShape, ...]
    lists_tables: bool = False

    def number(self, name: TableName) -> int:
        """Give the number of a table."""
        return next(number for number, shape in enumerate(self.tables) if shape.name.key() == name.key())


def declare(connection: duckdb.DuckDBPyConnection, tables: tuple[TableShape, ...]) -> Declaration:
    """Create the tables, empty, under their full names and under those that the statement uses.

    Raises:
        QueryError: two tables would need one name (`SQL_BINDING`).
    """
    connection.execute(f"ATTACH ':memory:' AS {quoted(STORE)}")
    default = _default_catalog(tables)
    for catalog in _distinct((*(shape.name.catalog for shape in tables), default)):
        if catalog:
            connection.execute(f"ATTACH ':memory:' AS {quoted(catalog)}")
    if default:
        connection.execute(f"USE {quoted(default)}")
    for number, shape in enumerate(tables):
        columns = ", ".join(f"c{index} {column.sql_type}" for index, column in enumerate(shape.columns))
        connection.execute(f"CREATE TABLE {_store(number)} ({columns})")
    owners: dict[tuple[str, ...], int] = {}
    declaration = Declaration(tables=tables)
    for number, shape in enumerate(tables):
        for name in _names(shape, default):
            key = tuple(fold(part) for part in name)
            if owners.setdefault(key, number) != number:
                raise QueryError(
                    Reason.SQL_BINDING,
                    f"`{'.'.join(name)}` could be two tables of this statement",
                    hint="write the full names, `catalog.database.table`",
                )
        _view(connection, declaration, number, used=None)
    return declaration


def bind(
    connection: duckdb.DuckDBPyConnection,
    declaration: Declaration,
    sql: str,
    parameters: Values,
) -> BoundStatement:
    """Bind the statement, run nothing, and say what it needs.

    Raises:
        QueryError: it does not bind (`SQL_BINDING`, `COLUMN_NOT_FOUND`), or would scan something else
            (`SQL_FUNCTION_REFUSED`).
        NotFound: it names a table that was not declared.
        LimitExceeded: it nests too deep once bound (`SQL_TOO_DEEP`).
        duckdb.Error: what the driver says of its own faults; the caller translates it.
    """
    try:
        used = _used(connection, declaration, sql, parameters)
    except QueryError as error:
        if "parameter" in error.message.lower():  # the driver words it in three ways
            _check_parameters(connection, sql, parameters)
        raise
    signed = signature.signature(connection, sql, parameters)
    if not (signed.bound and signed.reads):
        raise QueryError(
            Reason.SQL_NOT_READ_ONLY,
            "the statement cannot be bound before it runs",
            hint="send one statement that only reads",
        )
    _check_exact(signed)
    schema = canonical.canonical_schema(signature.arrow_schema(connection, signed))
    return BoundStatement(schema=schema.serialize().to_pybytes(), used_columns=used)


def _check_parameters(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Values) -> None:
    wanted = parsing.parse(connection, sql).parameters
    if wanted != len(parameters):
        raise QueryError(
            Reason.SQL_BINDING,
            f"the statement has {wanted} parameters, and {len(parameters)} values were given",
            hint="give one value for each `?`, or for each number of `$1`, `$2`",
        )


def _check_exact(signed: signature.Signature) -> None:
    for name, kind in zip(signed.names, signed.types, strict=True):
        inexact = pinned_types.inexact(kind)
        if inexact is not None:
            raise QueryError(
                Reason.SQL_BINDING,
                f"column `{name}` of the result has type {inexact.upper()}, which an answer cannot hold exactly",
                hint=f"cast it to {pinned_types.INEXACT_IN_ANSWERS[inexact]}",
            )


def publish(
    connection: duckdb.DuckDBPyConnection,
    declaration: Declaration,
    name: TableName,
    used: Sequence[str],
    batches: pa.RecordBatchReader,
) -> int:
    """Fill one table with its rows, whose columns are `used` in that order, or `PRESENT` alone; give their number."""
    number = declaration.number(name)
    shape = declaration.tables[number]
    indexes = {column.name: index for index, column in enumerate(shape.columns)}
    supplied = {indexes[column]: position for position, column in enumerate(used)}
    if len(batches.schema) != max(len(used), 1):
        raise ValueError("other columns than were asked for")
    kept = ", ".join(f"c{index} {shape.columns[index].sql_type}" for index in supplied) or f"{PRESENT} BOOLEAN"
    connection.execute(f"CREATE OR REPLACE TABLE {_store(number)} ({kept})")
    renamed = batches.schema.names
    source = pa.RecordBatchReader.from_batches(
        pa.schema([field.with_name(f"f{position}") for position, field in enumerate(batches.schema)]),
        (batch.rename_columns([f"f{position}" for position in range(len(renamed))]) for batch in batches),
    )
    connection.register("penstock_supply", source)
    try:
        ((rows,),) = connection.execute(f"INSERT INTO {_store(number)} SELECT * FROM penstock_supply").fetchall()  # noqa: S608 - a number
    finally:
        connection.unregister("penstock_supply")
    _view(connection, declaration, number, used=frozenset(supplied))
    return int(rows)


def attach(
    connection: duckdb.DuckDBPyConnection, declaration: Declaration, name: TableName, held: Sequence[str], slot: int
) -> int:
    """Let one table stand over the extract in a slot, which holds these columns of it; give the number of its rows."""
    number = declaration.number(name)
    indexes = {column.name: index for index, column in enumerate(declaration.tables[number].columns)}
    database = f"{EXTRACT}_{number}"
    instance.attach_slot(connection, slot, name=database)
    relation = f"{quoted(database)}.main.{quoted(TABLE)}"
    _view(connection, declaration, number, used=frozenset(indexes[column] for column in held), relation=relation)
    ((rows,),) = connection.execute(f"SELECT count(*) FROM {relation}").fetchall()  # noqa: S608 - quoted
    return int(rows)


def _store(number: int) -> str:
    return f"{quoted(STORE)}.main.t{number}"


def _view(
    connection: duckdb.DuckDBPyConnection,
    declaration: Declaration,
    number: int,
    *,
    used: frozenset[int] | None,
    relation: str | None = None,
) -> None:
    """Put the views of one table over its store or another relation; `used` None = every column is there."""
    over = _store(number) if relation is None else relation
    shape = declaration.tables[number]
    kept = PRESENT if used is not None and not used else f"c{min(used or (0,))}"
    columns = ", ".join(
        f"{_column(index, column.sql_type, used, kept)} AS {quoted(column.name)}"
        for index, column in enumerate(shape.columns)
    )
    default = _default_catalog(declaration.tables)
    for catalog, schema, view in _names(shape, default):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(catalog)}.{quoted(schema)}")
        target = f"{quoted(catalog)}.{quoted(schema)}.{quoted(view)}"
        connection.execute(f"CREATE OR REPLACE VIEW {target} AS SELECT {columns} FROM {over}")  # noqa: S608 - quoted


def _column(index: int, sql_type: str, used: frozenset[int] | None, kept: str) -> str:
    return f"c{index}" if used is None or index in used else _UNSUPPLIED.format(kept=kept, type=sql_type)


def _default_catalog(tables: tuple[TableShape, ...]) -> str:
    """Give the catalog that names without one refer to, or "" where every name is full."""
    for shape in tables:
        if any(len(reference) < 3 for reference in shape.references):
            return shape.name.catalog
    return ""


def _names(shape: TableShape, default: str) -> list[tuple[str, str, str]]:
    """Give the places at which a table must stand so that each of its references finds it."""
    places = [(shape.name.catalog, shape.name.database, shape.name.table)]
    for reference in shape.references:
        match reference:
            case (schema, table):
                places.append((default, schema, table))
            case (table,):
                places.append((default, "main", table))
            case _:
                pass
    return list({tuple(fold(part) for part in place): place for place in reversed(places)}.values())[::-1]


def _distinct(names: Sequence[str]) -> list[str]:
    return list({fold(name): name for name in reversed(names)}.values())


def _used(
    connection: duckdb.DuckDBPyConnection, declaration: Declaration, sql: str, parameters: Values
) -> tuple[tuple[TableName, tuple[str, ...]], ...]:
    """Give the columns that each table must supply, in the catalog's order; refuse a scan of anything else."""
    needed: dict[str, set[int]] = {f"{STORE}.main.t{number}": set() for number in range(len(declaration.tables))}
    for scan in plans.scans(connection, sql, parameters, catalog=declaration.lists_tables):
        if scan.table not in needed:
            raise plans.not_a_table_of_the_statement()
        # A field of a struct is named behind its column: `c2.x`.
        needed[scan.table].update(int(column.split(".")[0].removeprefix("c")) for column in scan.columns)
    return tuple(
        (shape.name, tuple(column.name for index, column in enumerate(shape.columns) if index in indexes))
        for shape, indexes in zip(declaration.tables, needed.values(), strict=True)
    )
