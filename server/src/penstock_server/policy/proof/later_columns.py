"""Columns that the catalog does not have yet: shown by filters of all columns, or of all but some, once they are there.

A policy is bound to the columns that there are, and a list of excluded ones with them. Bound to tables with one column
more, and each struct with one field more, which no policy can name, it tells what would happen to one that comes later.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from penstock_server.model.cell_paths import path_parts
from penstock_server.model.schema import CatalogSnapshot, Column, ColumnType, TypeFamily, struct_type

LATER_COLUMNS: Final = "\0columns to come"
"""The name of the column that stands for all that may be added; a NUL can stand in no policy file."""

LATER_COLUMN: Final = Column(name=LATER_COLUMNS, type=ColumnType(sql="VARCHAR", family=TypeFamily.TEXT))


_LATER_FIELD: Final = Column(name="", type=LATER_COLUMN.type)
"""The field that stands for all that may be added to a struct; no field has an empty name."""


def is_later(path: str) -> bool:
    """Tell whether a path is that of a column, or a field, to come."""
    return path == LATER_COLUMNS or path_parts(path)[-1] == _LATER_FIELD.name


def with_later_columns(snapshot: CatalogSnapshot) -> CatalogSnapshot:
    """Give the catalogs with one more column in each table, and one more field in each struct."""
    return replace(
        snapshot,
        tables=tuple(
            replace(table, columns=(*(_with_later_fields(column) for column in table.columns), LATER_COLUMN))
            for table in snapshot.tables
        ),
    )


def _with_later_fields(column: Column) -> Column:
    if not column.type.fields:
        return column
    return replace(column, type=struct_type((*map(_with_later_fields, column.type.fields), _LATER_FIELD)))
