"""What a sealed worker is told of a governed table: names and types, nothing of policy or source."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_server.model.resource import TableName


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapedColumn:
    """A visible column, spelled as the catalog spells it; `sql_type` is its pinned type as DuckDB prints it."""

    name: str
    sql_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibleTable:
    """A table that the caller may know of, with its visible columns."""

    name: TableName
    columns: tuple[ShapedColumn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableShape:
    """The governed shape of one table.

    `references` are the names by which the statement calls it, each of one, two or three parts in the statement's
    spelling; never empty. `columns` is never empty.
    """

    name: TableName
    references: tuple[tuple[str, ...], ...]
    columns: tuple[ShapedColumn, ...]
