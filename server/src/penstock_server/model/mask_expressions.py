"""What the expression of a mask computes from one value: a tree of operations that give a result for every value.

NULL in gives NULL out for each of them but `Case`, which takes its `otherwise` where no test IS TRUE. Text is counted
in code points.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from penstock_server.model.predicate import (
    AllTrue,
    Always,
    And,
    AnyTrue,
    Constant,
    Never,
    Not,
    Or,
    Predicate,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """A constant; None = NULL."""

    value: Constant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """The value itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueAsText:
    """The value as VARCHAR; only of types of which every value has a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """The first `count` characters, or all where there are fewer."""

    operand: MaskExpression
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Last:
    """The last `count` characters, or all where there are fewer."""

    operand: MaskExpression
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """At most `count` characters (None = all that follow) from the one at `start`, counted from 1."""

    operand: MaskExpression
    start: int
    count: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LowerCase:
    """Each character in lower case, one for one."""

    operand: MaskExpression


@dataclass(frozen=True, slots=True, kw_only=True)
class UpperCase:
    """Each character in upper case, one for one: `ß` gives `ẞ`."""

    operand: MaskExpression


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Texts one after the other; at least two."""

    operands: tuple[MaskExpression, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """How many characters a text has, as BIGINT."""

    operand: MaskExpression


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthAsText:
    """How many characters a text has, in digits."""

    operand: MaskExpression


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """What is shown where a test of the value IS TRUE; its predicate is over a column named `VALUE`."""

    when: Predicate
    then: MaskExpression


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The first branch whose test IS TRUE, else `otherwise`; at least one branch."""

    branches: tuple[Branch, ...]
    otherwise: MaskExpression


MaskExpression = (
    Fixed | Value | ValueAsText | First | Last | Part | LowerCase | UpperCase | Joined | Length | LengthAsText | Case
)

VALUE = "value"
"""The name by which tests of a mask's expression speak of the cell."""


def over_column(predicate: Predicate, column: str) -> Predicate:
    """Give a test of a mask's expression as a test of the column, or the path, that the mask is on."""
    match predicate:
        case Always() | Never():
            return predicate
        case Not(operand=operand):
            return Not(operand=over_column(operand, column))
        case And(operands=operands) | Or(operands=operands) | AnyTrue(operands=operands) | AllTrue(operands=operands):
            return replace(predicate, operands=tuple(over_column(operand, column) for operand in operands))
        case _:
            return replace(predicate, column=column)


def walk(expression: MaskExpression) -> Iterator[MaskExpression]:
    """Give an expression and all within it."""
    yield expression
    match expression:
        case Joined(operands=operands):
            for operand in operands:
                yield from walk(operand)
        case Case(branches=branches, otherwise=otherwise):
            for branch in branches:
                yield from walk(branch.then)
            yield from walk(otherwise)
        case Fixed() | Value() | ValueAsText():
            pass
        case _:
            yield from walk(expression.operand)
