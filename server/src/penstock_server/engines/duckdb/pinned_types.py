"""Types as they are pinned at inspection: what a reader casts to and a sealed worker declares.

An ENUM becomes text at every level of nesting, for its dictionary lists values that no visible row may hold. What has
no exact form on the way from a reader to a worker, or in an answer, is refused rather than rounded.
"""

from __future__ import annotations

from collections.abc import Iterator

from duckdb.sqltypes import DuckDBPyType

from penstock_server.model.schema import Column, ColumnType, TypeFamily, struct_type

_FAMILIES: dict[str, TypeFamily] = {
    "varchar": TypeFamily.TEXT,
    "enum": TypeFamily.TEXT,
    **dict.fromkeys(
        (
            "tinyint",
            "smallint",
            "integer",
            "bigint",
            "hugeint",
            "utinyint",
            "usmallint",
            "uinteger",
            "ubigint",
            "uhugeint",
        ),
        TypeFamily.INTEGER,
    ),
    "decimal": TypeFamily.DECIMAL,
    "float": TypeFamily.FLOAT,
    "double": TypeFamily.FLOAT,
    "boolean": TypeFamily.BOOLEAN,
    "date": TypeFamily.DATE,
    "timestamp": TypeFamily.TIMESTAMP,
    "timestamp_s": TypeFamily.TIMESTAMP,
    "timestamp_ms": TypeFamily.TIMESTAMP,
    "timestamp_ns": TypeFamily.TIMESTAMP,
    "timestamp with time zone": TypeFamily.TIMESTAMP_TZ,
}

_OTHER_TYPES = frozenset({"blob", "uuid", "time", "time_ns", "time with time zone", "interval", "bit", "json"})
"""Types that cross exactly but that no constant is compared with."""

_NESTED = frozenset({"struct", "list", "array", "map"})

INEXACT_IN_ANSWERS: dict[str, str] = {
    "uhugeint": "DECIMAL(38,0) or VARCHAR",
    "time with time zone": "VARCHAR",
    "bit": "VARCHAR",
    "bignum": "VARCHAR",
    "variant": "JSON or VARCHAR",
    "geometry": "BLOB or VARCHAR",
    "union": "VARCHAR",
    "aggregate_state": "nothing: finish the aggregate",
}
"""Types that plain Arrow cannot say exactly, with what a caller may cast them to."""


class UnpinnableType(Exception):
    """A type that is not available in this version; the text says which and what to do."""


def pinned(kind: DuckDBPyType) -> ColumnType:
    """Pin a type of the driver.

    Raises:
        UnpinnableType: it has no exact form on the way to a worker.
    """
    if _identity(kind) == "struct":
        return struct_type(tuple(Column(name=name, type=pinned(child)) for name, child in _parts(kind)))
    return ColumnType(sql=_sql(kind), family=_FAMILIES.get(_identity(kind), TypeFamily.OTHER))


def inexact(kind: DuckDBPyType) -> str | None:
    """Give the first type within this one that an answer cannot hold exactly, or None."""
    return next((name for name in _names(kind) if name in INEXACT_IN_ANSWERS), None)


def _names(kind: DuckDBPyType) -> Iterator[str]:
    pending = [kind]
    while pending:
        part = pending.pop()
        name = _identity(part)
        yield name
        if name in _NESTED:
            pending += [child for _, child in _parts(part)]


def _parts(kind: DuckDBPyType) -> list[tuple[str, DuckDBPyType]]:
    """Give the types within a nested type, with their names; a fixed length is no part."""
    return [(name, child) for name, child in kind.children if isinstance(child, DuckDBPyType)]


def _identity(kind: DuckDBPyType) -> str:
    """Give the name of a type without its parameters."""
    if str(kind) == "JSON":
        return "json"
    return str(kind.id)


def _sql(kind: DuckDBPyType) -> str:
    match _identity(kind):
        case "enum":
            return "VARCHAR"
        case "null":
            return "INTEGER"  # a Parquet column that holds nothing but NULLs has no type of its own
        case "struct":
            return pinned(kind).sql
        case "map":
            (_, key), (_, value) = _parts(kind)
            return f"MAP({_sql(key)}, {_sql(value)})"
        case "list":
            ((_, child),) = _parts(kind)
            return f"{_sql(child)}[]"
        case "array":
            ((_, child),) = _parts(kind)
            return f"{_sql(child)}[{dict(kind.children)['size']}]"
        case name if name in _FAMILIES or name in _OTHER_TYPES:
            return str(kind)
        case _:
            raise UnpinnableType(f"type {kind} is not available in this version; cast it where the file is written")
