"""What a statement would give, asked of the driver without running it.

The driver offers this only under private names; they are used here and nowhere else, and `uv.lock` pins the driver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import _duckdb
import duckdb
import pyarrow as pa
from duckdb.sqltypes import DuckDBPyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Names and types of the result. `bound` is False where they are known only once the statement runs.

    `reads` says that it is one SELECT and changes nothing.
    """

    names: tuple[str, ...]
    types: tuple[DuckDBPyType, ...]
    bound: bool
    reads: bool


Values = Sequence[object] | Mapping[str, object]
"""The values of a statement's parameters: in order, or by name."""


def as_driver_takes(values: Values) -> list[object] | dict[str, object] | None:
    """Give values as the driver takes them; it counts an empty list as a value of its own."""
    return (dict(values) if isinstance(values, Mapping) else list(values)) or None


def signature(connection: duckdb.DuckDBPyConnection, sql: str, values: Values = ()) -> Signature:
    """Bind one statement and give its signature.

    Raises:
        duckdb.Error: it does not bind.
    """
    names, types, _, _, deferred, kind, writes = connection._bind(
        sql, capture=False, with_type=True, with_writes=True, values=as_driver_takes(values)
    )
    return Signature(
        names=tuple(names), types=tuple(types), bound=not deferred, reads=kind == "select" and writes is False
    )


def arrow_schema(connection: duckdb.DuckDBPyConnection, signed: Signature) -> pa.Schema:
    """Give the Arrow schema in which the result would come; names may repeat, as in the result."""
    # The driver would tell equal names apart here, and does not in the result.
    numbered = [str(number) for number in range(len(signed.names))]
    schema = _duckdb._arrow_schema(numbered, list(signed.types), connection=connection)
    return pa.schema([field.with_name(name) for field, name in zip(schema, signed.names, strict=True)])
