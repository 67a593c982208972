"""The syntax tree of a row filter: what `row_filter` gives and `binding` types."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from penstock_server.model.predicate import Comparison


class LiteralKind(Enum):
    """What a constant was written as."""

    TEXT = "a text"
    NUMBER = "a number"
    BOOLEAN = "TRUE or FALSE"
    DATE = "a DATE"
    TIMESTAMP = "a TIMESTAMP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    """A constant as written: `text` is unquoted, with the sign of a number; its type comes from the column."""

    kind: LiteralKind
    text: str
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserName:
    """`:user.name`."""

    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserGroups:
    """`:user.groups`."""

    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSubject:
    """`:user.subject`: a hash of issuer and subject, which everybody has."""

    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserAttribute:
    """`:user.attributes.NAME`."""

    name: str
    position: int


UserValue = UserName | UserGroups | UserSubject | UserAttribute


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnReference:
    """A column, or a field of a struct column by several parts."""

    parts: tuple[str, ...]
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareNode:
    """`column op operand`."""

    column: ColumnReference
    op: Comparison
    operand: Literal | UserValue


@dataclass(frozen=True, slots=True, kw_only=True)
class BetweenNode:
    """`column BETWEEN low AND high`."""

    column: ColumnReference
    low: Literal
    high: Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class InNode:
    """`column IN (values)`, or `column IN :user...`; never empty."""

    column: ColumnReference
    values: tuple[Literal, ...] | UserValue


@dataclass(frozen=True, slots=True, kw_only=True)
class LikeNode:
    """`column LIKE pattern`."""

    column: ColumnReference
    pattern: Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class IsNullNode:
    """`column IS NULL`."""

    column: ColumnReference


@dataclass(frozen=True, slots=True, kw_only=True)
class NotNode:
    """NOT."""

    operand: FilterNode


@dataclass(frozen=True, slots=True, kw_only=True)
class AndNode:
    """AND of at least two."""

    operands: tuple[FilterNode, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrNode:
    """OR of at least two."""

    operands: tuple[FilterNode, ...]


FilterNode = CompareNode | BetweenNode | InNode | LikeNode | IsNullNode | NotNode | AndNode | OrNode
