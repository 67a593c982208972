"""`order: canonical`: the rows of a stream in an order that is a function of their values, whatever the source's was.

Values are compared as the engine compares them, texts and blobs byte by byte; what it holds for equal although it is
not the same is told apart behind that, so that only rows that are the same stand in no order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from penstock_server.engines.duckdb.identifiers import quoted
from penstock_server.model.schema import Column, ColumnType, TypeFamily

_COMPARED_WHOLLY = frozenset(set(TypeFamily) - {TypeFamily.FLOAT, TypeFamily.OTHER})
_ALSO = frozenset({"BLOB", "UUID", "TIME", "TIME_NS", "JSON"})


def ordered(statement: str, columns: Iterable[Column]) -> str:
    """Print a statement whose rows are those of another one, by all its columns; NULL comes last."""
    keys = [f"{key} ASC NULLS LAST" for column in columns for key in _keys(quoted(column.name), column.type)]
    return f"SELECT * FROM ({statement}) AS shown ORDER BY {', '.join(keys)}" if keys else statement  # noqa: S608 - quoted


def _keys(name: str, kind: ColumnType) -> Iterator[str]:
    yield name
    if kind.family is TypeFamily.FLOAT:
        # Both zeros are equal, and all NaN.
        yield f"CAST({name} AS BIT)"
    elif kind.family not in _COMPARED_WHOLLY and kind.sql not in _ALSO:
        # A month equals thirty days; so do times of day in two zones, and what holds them or numbers.
        yield f"CAST({name} AS VARCHAR)"
