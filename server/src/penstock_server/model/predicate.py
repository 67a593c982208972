"""Row predicates as values: what a filter, a row rule or a cell condition says about one row.

Three-valued: a predicate is TRUE, FALSE or UNKNOWN for a row, as in SQL. Layers are joined by `IS TRUE` only
(`AllTrue`, `AnyTrue`), never by NOT of a rule. Constants are typed at bind; printing per engine lives with the engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

Constant = str | bool | int | Decimal | float | date | datetime
"""Typed: `int` for INTEGER, `Decimal` for DECIMAL, `float` for FLOAT, aware `datetime` only for TIMESTAMP_TZ."""


class Comparison(StrEnum):
    """How a column is compared with a constant."""

    EQUAL = "="
    NOT_EQUAL = "<>"
    LESS = "<"
    GREATER = ">"
    LESS_OR_EQUAL = "<="
    GREATER_OR_EQUAL = ">="


@dataclass(frozen=True, slots=True, kw_only=True)
class Always:
    """TRUE for every row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Never:
    """UNKNOWN for every row, under either polarity: what an empty list or a missing attribute binds to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """`column op constant`; NaN is UNKNOWN in every comparison, text compares by code points."""

    column: str
    op: Comparison
    value: Constant


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """`column BETWEEN low AND high`, both ends included."""

    column: str
    low: Constant
    high: Constant


@dataclass(frozen=True, slots=True, kw_only=True)
class In:
    """`column IN (values)`; never empty, never holds NULL."""

    column: str
    values: frozenset[Constant]


@dataclass(frozen=True, slots=True, kw_only=True)
class Like:
    """`column LIKE pattern` with `%` and `_`; no escape, and a backslash is refused at load."""

    column: str
    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IsNull:
    """`column IS NULL`."""

    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """Three-valued NOT, inside one filter expression only."""

    operand: Predicate


@dataclass(frozen=True, slots=True, kw_only=True)
class And:
    """Three-valued AND inside one filter expression; at least two operands."""

    operands: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    """Three-valued OR inside one filter expression; at least two operands."""

    operands: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyTrue:
    """TRUE where at least one operand is TRUE, else FALSE: how grants are joined. No operands = FALSE."""

    operands: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AllTrue:
    """TRUE where every operand is TRUE, else FALSE: how layers are joined. At least one operand."""

    operands: tuple[Predicate, ...]


Predicate = Always | Never | Compare | Between | In | Like | IsNull | Not | And | Or | AnyTrue | AllTrue
