"""A checked statement bound and run in its form: as it stands, as an EXPLAIN, or as a PIVOT that finds its values.

What binds is always the text that was checked. What runs is the caller's own text, but for an EXPLAIN, of which nothing
runs at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain

import duckdb
import pyarrow as pa

from penstock_server.engines.base import BoundStatement
from penstock_server.engines.duckdb import binding, canonical, errors, explaining, pivoting, plans, signature
from penstock_server.engines.duckdb.binding import Declaration
from penstock_server.engines.duckdb.identifiers import text_literal
from penstock_server.engines.duckdb.parsing import ParsedStatement
from penstock_server.engines.duckdb.signature import Values
from penstock_server.errors import LimitExceeded, QueryError, Reason

MOST_SCHEMA_BYTES = canonical.MESSAGE_BYTES


def bind(
    connection: duckdb.DuckDBPyConnection, declaration: Declaration, parsed: ParsedStatement, values: Values
) -> BoundStatement:
    """Bind a statement as `binding.bind`; its schema is empty where it is known only once its tables hold rows.

    Raises:
        QueryError: values are given by name where the statement numbers them, or the other way round; and as
            `binding.bind`.
    """
    _check_names(parsed, values)
    if parsed.completed is not None:
        return _bind_pivot(connection, declaration, parsed, parsed.completed, values)
    bound = binding.bind(connection, declaration, parsed.statement, values)
    if parsed.explained is not None:
        schema = canonical.canonical_schema(explaining.SCHEMA)
        return replace(bound, schema=schema.serialize().to_pybytes())
    return bound


def _bind_pivot(
    connection: duckdb.DuckDBPyConnection,
    declaration: Declaration,
    parsed: ParsedStatement,
    completed: pivoting.Completed,
    values: Values,
) -> BoundStatement:
    if parsed.parameters:
        raise QueryError(
            Reason.SQL_BINDING,
            "a PIVOT that finds its values cannot have parameters",
            hint="name the values: `on column in (...)`, or write the parameters into the statement",
        )
    with completed.positions():
        return replace(binding.bind(connection, declaration, parsed.statement, values), schema=b"")


def _check_names(parsed: ParsedStatement, values: Values) -> None:
    if isinstance(values, Mapping):
        given = {name.casefold() for name in values}
        if given != {name.casefold() for name in parsed.names}:
            listed = ", ".join(f"`${name}`" for name in parsed.names)
            raise QueryError(
                Reason.SQL_BINDING,
                f"the statement has the parameters {listed}" if listed else "the statement has no parameters by name",
                hint="give each of them one value, under its name, and no others",
            )
    elif parsed.names:
        raise QueryError(
            Reason.SQL_BINDING,
            "the statement calls its parameters by name",
            hint="give each value with its name: " + ", ".join(f"`{name}`" for name in parsed.names),
        )


WAYS = (
    "",
    "projection_pullup",
    "grouping_sets,projection_pullup",
    ",".join(plans.OTHER_OPTIMIZERS),
)
"""Optimizers to do without, one way after the other.

DuckDB: some compute columns that nothing uses, such as beside a recursive common table or under a CUBE, and what
nothing uses is not supplied and fails (2.0.0). The last way optimizes as binding did, which saw that nothing asks for
them."""


def answer(
    connection: duckdb.DuckDBPyConnection,
    declaration: Declaration,
    parsed: ParsedStatement,
    values: Values,
    bound: BoundStatement,
) -> tuple[bytes, Iterator[bytes]]:
    """Run a statement over tables that hold their rows; give schema and messages.

    INVARIANT: which way is taken is a function of the statement and of the rows that were supplied.

    Raises:
        LimitExceeded: a PIVOT found more values than an answer can have columns.
        QueryError: the schema is not the one that was bound: a fault of ours (`INTERNAL`).
        duckdb.Error: what the driver says of the statement; so does reading the messages.
    """
    for way in WAYS:
        connection.execute(f"SET disabled_optimizers={text_literal(way)}")
        try:
            read = _result(connection, declaration, parsed, values)
            schema = _checked_schema(read, bound)
            messages = canonical.batches(read, message_bytes=canonical.MESSAGE_BYTES)
            first = next(messages, None)
        except Exception as error:
            if way == WAYS[-1] or not errors.is_unsupplied(error):
                raise
        else:
            return schema, messages if first is None else chain((first,), messages)
    raise errors.internal("no way to run the statement")


def _result(
    connection: duckdb.DuckDBPyConnection, declaration: Declaration, parsed: ParsedStatement, values: Values
) -> pa.RecordBatchReader:
    if parsed.explained is not None:
        return explaining.plan(connection, parsed.explained, values, declaration.tables)
    taken = signature.as_driver_takes(values)
    sql = parsed.statement if parsed.completed is None else parsed.completed.written
    return connection.sql(sql, params=taken).to_arrow_reader(canonical.FRAME_ROWS)


def _checked_schema(read: pa.RecordBatchReader, bound: BoundStatement) -> bytes:
    schema: bytes = canonical.canonical_schema(read.schema).serialize().to_pybytes()
    if bound.schema:
        if schema != bound.schema:
            raise errors.internal("the result has another schema than was bound")
    elif len(schema) > MOST_SCHEMA_BYTES:
        raise LimitExceeded(
            Reason.ROW_LIMIT,
            "the PIVOT finds more values than an answer can have columns",
            limit="schema_bytes",
            value=str(MOST_SCHEMA_BYTES),
            hint="name the values that you want: `on column in (...)`",
        )
    return schema
