"""What the footers of an Iceberg table's data files must say, so that columns are found by field id, never by luck."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb

from penstock_server.engines.duckdb.iceberg.plan import IcebergField
from penstock_server.engines.duckdb.identifiers import text_literal

_DECIMAL: Final = re.compile(r"DECIMAL\(([0-9]+),([0-9]+)\)", re.ASCII)
_PROMOTED: Final = frozenset({("INTEGER", "BIGINT"), ("FLOAT", "DOUBLE")})


class Refused(Exception):
    """The table has what this version does not read; the text says what, for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A data file and the ids of columns that its rows must hold themselves: they are partitioned by their values."""

    path: str
    required: frozenset[int]


def check(connection: duckdb.DuckDBPyConnection, data: Sequence[Listed], fields: Sequence[IcebergField]) -> None:
    """Require of each file: an id for every column, the types of the schema or what it was promoted from.

    Raises:
        Refused: a file does not have them.
    """
    wanted = {field.number: field.column.type.sql for field in fields}
    listed = ", ".join(text_literal(file.path) for file in data)
    rows = connection.execute(
        f"SELECT file_name, name, num_children, field_id, duckdb_type FROM parquet_schema([{listed}])"  # noqa: S608 - quoted
    ).fetchall()
    shapes: dict[str, list[tuple[str, int, int | None, str]]] = {}
    for path, name, children, number, kind in rows:
        shapes.setdefault(str(path), []).append((str(name), int(children or 0), number, str(kind)))
    for file in data:
        found: set[int] = set()
        for number, kind in _top_level(shapes[file.path]):
            if number is None or number in found:
                raise Refused("a data file has a column without a field id of its own; rewrite it")
            found.add(number)
            if number in wanted and not _fits(kind, wanted[number]):
                raise Refused("a data file has a column of another type than the schema; rewrite it")
        if not file.required <= found:
            raise Refused("a data file lacks a column by which it is partitioned; rewrite it")


def _top_level(shape: Sequence[tuple[str, int, int | None, str]]) -> Iterator[tuple[int | None, str]]:
    """Give field id and type of each column; the schema of a file is a tree, listed depth first, root first."""
    below = 0
    for _, children, number, kind in shape[1:]:
        if below:
            below += children - 1
            continue
        below = children
        yield number, kind


def _fits(kind: str, wanted: str) -> bool:
    if kind == wanted or (kind, wanted) in _PROMOTED:
        return True
    narrow, wide = _DECIMAL.fullmatch(kind), _DECIMAL.fullmatch(wanted)
    return narrow is not None and wide is not None and narrow[2] == wide[2] and int(narrow[1]) <= int(wide[1])
