"""What a sealed worker tells of a statement's own conditions: columns of tables against constants, as values.

Loads neither DuckDB nor Arrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from penstock_server.model.predicate import Constant
from penstock_server.model.resource import TableName
from penstock_server.model.schema import ColumnType, TypeFamily

MOST_CONSTANTS: Final = 1_000
"""Constants of one statement that are copied; past it nothing is."""


class ConditionKind(StrEnum):
    """How a column is tested; `IN` has one value or more, `IS_NULL` none, the others one."""

    EQUAL = "="
    NOT_EQUAL = "<>"
    LESS = "<"
    GREATER = ">"
    LESS_OR_EQUAL = "<="
    GREATER_OR_EQUAL = ">="
    IN = "in"
    IS_NULL = "is null"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnTest:
    """One condition; `values` are of exactly the column's type, and never NULL."""

    column: str
    kind: ConditionKind
    values: tuple[Constant, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableConjuncts:
    """What every reference of a table asks of its rows: one alternative a reference, each of one test or more."""

    table: TableName
    alternatives: tuple[tuple[ColumnTest, ...], ...]


def copied_type(kind: ColumnType) -> bool:
    """Tell whether conditions on columns of this type may be copied.

    Not those on floats: a policy takes NaN for UNKNOWN, a statement for the greatest number. Nor those on instants
    with a zone or of other ticks than microseconds.
    """
    match kind.family:
        case TypeFamily.TEXT | TypeFamily.INTEGER | TypeFamily.DECIMAL | TypeFamily.DATE | TypeFamily.BOOLEAN:
            return True
        case TypeFamily.TIMESTAMP:
            return kind.sql == "TIMESTAMP"
        case TypeFamily.FLOAT | TypeFamily.TIMESTAMP_TZ | TypeFamily.OTHER:
            return False
