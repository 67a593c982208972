"""Columns that the catalog does not have yet: shown by filters of all columns, or of all but some, once they are there.

A policy is bound to the columns that there are, and a list of excluded ones with them. Bound to tables with one column
more, which no policy can name, it tells what would happen to a column that is added later.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from penstock_server.model.schema import CatalogSnapshot, Column, ColumnType, TypeFamily

LATER_COLUMNS: Final = "\0columns to come"
"""The name of the column that stands for all that may be added; a NUL can stand in no policy file."""

LATER_COLUMN: Final = Column(name=LATER_COLUMNS, type=ColumnType(sql="VARCHAR", family=TypeFamily.TEXT))


def with_later_columns(snapshot: CatalogSnapshot) -> CatalogSnapshot:
    """Give the catalogs with one more column in each table."""
    return replace(
        snapshot,
        tables=tuple(replace(table, columns=(*table.columns, LATER_COLUMN)) for table in snapshot.tables),
    )
