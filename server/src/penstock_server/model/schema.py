"""Tables as the policy was bound to them: names and types pinned."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

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
    """A pinned type: `sql` as the engine prints it (`DECIMAL(15,2)`, `STRUCT(a INTEGER)`), ENUM already as VARCHAR."""

    sql: str
    family: TypeFamily


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table, spelled as the catalog spells it."""

    name: str
    type: ColumnType


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSchema:
    """A table with its pinned columns in their order.

    INVARIANT: no two column names are equal after `fold`, nor after Unicode case folding (checked at bind).
    `location` is where its files live for the credential doors, or None where the catalog states none.
    """

    name: TableName
    columns: tuple[Column, ...]
    location: S3Location | None

    def column(self, name: str) -> Column | None:
        """Find a column by name, ASCII case-insensitively."""
        wanted = fold(name)
        return next((column for column in self.columns if fold(column.name) == wanted), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogSnapshot:
    """All tables of all catalogs at the moment of binding."""

    tables: tuple[TableSchema, ...]
