"""The syntax tree of a mask's expression: what `parsing` gives and `binding` types."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from penstock_server.policy.filters.nodes import FilterNode, Literal


class TextFunction(Enum):
    """The functions of a mask's expression; each has a result for every text."""

    LEFT = "left"
    RIGHT = "right"
    SUBSTRING = "substring"
    LOWER = "lower"
    UPPER = "upper"
    LENGTH = "length"
    LENGTH_AS_TEXT = "CAST(length(...) AS VARCHAR)"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiteralNode:
    """A constant; None = NULL."""

    literal: Literal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueNode:
    """`value`, or `CAST(value AS VARCHAR)`."""

    as_text: bool
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionNode:
    """A function of a text and of whole numbers."""

    function: TextFunction
    operand: MaskNode
    numbers: tuple[int, ...]
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinNode:
    """`a || b`, at least two."""

    operands: tuple[MaskNode, ...]
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchNode:
    """`WHEN test THEN shown`; `position` is that of the test."""

    test: FilterNode
    shown: MaskNode
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseNode:
    """`CASE WHEN .. THEN .. [ELSE ..] END`; without ELSE it is NULL."""

    branches: tuple[BranchNode, ...]
    otherwise: MaskNode


MaskNode = LiteralNode | ValueNode | FunctionNode | JoinNode | CaseNode
