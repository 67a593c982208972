"""Tables as the policy was bound to them: names and types pinned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from penstock_server.model.cell_paths import field_path, path_parts
from penstock_server.model.resource import S3Location, TableName, fold


class TypeFamily(StrEnum):
    """Which constants a column may be compared with."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMP_TZ = "timestamp with time zone"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnType:
    """A pinned type: `sql` as the engine prints it (`DECIMAL(15,2)`, `STRUCT("a" INTEGER)`), ENUM already as VARCHAR.

    `fields` are those of a STRUCT, in their order; a list, an array or a map is one value, whatever it holds.
    """

    sql: str
    family: TypeFamily
    fields: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table or a field of a struct, spelled as the catalog spells it."""

    name: str
    type: ColumnType


def struct_type(fields: tuple[Column, ...]) -> ColumnType:
    """Give the type of a STRUCT of these fields, in their order."""
    declared = ", ".join(f'"{part.name.replace(chr(34), chr(34) * 2)}" {part.type.sql}' for part in fields)
    return ColumnType(sql=f"STRUCT({declared})", family=TypeFamily.OTHER, fields=fields)


def cells_of(column: Column) -> Iterator[Column]:
    """Give what a policy can show one by one: the column, or of a STRUCT its fields at the ends of all paths.

    Each is named by its path (`model.cell_paths`): for a column that is no STRUCT that is its name.
    """
    if not column.type.fields:
        yield column
        return
    for part in column.type.fields:
        yield from cells_of(Column(name=field_path(column.name, part.name), type=part.type))


def _structs_of(column: Column) -> Iterator[Column]:
    if column.type.fields:
        yield column
    for part in column.type.fields:
        yield from _structs_of(Column(name=field_path(column.name, part.name), type=part.type))


def field_of(column: Column, name: str) -> Column | None:
    """Find a field of a STRUCT by name, ASCII case-insensitively; it is named by its path."""
    wanted = fold(name)
    found = next((part for part in column.type.fields if fold(part.name) == wanted), None)
    return None if found is None else Column(name=field_path(column.name, found.name), type=found.type)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSchema:
    """A table with its pinned columns in their order.

    INVARIANT: no two column names are equal after `fold`, nor after Unicode case folding (checked at bind); nor are two
    fields of one struct.
    `location` is where its files live for the credential doors, or None where the catalog states none.
    """

    name: TableName
    columns: tuple[Column, ...]
    location: S3Location | None

    def column(self, name: str) -> Column | None:
        """Find a column by name, ASCII case-insensitively."""
        wanted = fold(name)
        return next((column for column in self.columns if fold(column.name) == wanted), None)

    def at(self, path: str) -> Column | None:
        """Find a column or a field by its path, ASCII case-insensitively; it is named by its path, as spelled here."""
        head, *names = path_parts(path)
        found = self.column(head)
        for name in names:
            if found is None:
                return None
            found = field_of(found, name)
        return found

    def structs(self) -> Iterator[Column]:
        """Give the structs, and the structs within them, each named by its path."""
        for column in self.columns:
            yield from _structs_of(column)

    def cells(self) -> Iterator[Column]:
        """Give all that a policy can show one by one, in the order of the columns, each named by its path."""
        for column in self.columns:
            yield from cells_of(column)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogSnapshot:
    """All tables of all catalogs at the moment of binding."""

    tables: tuple[TableSchema, ...]
