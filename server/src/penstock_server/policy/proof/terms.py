"""Tests as the proof reads them: each speaks of one column and constants, or of the caller's own values.

Three-valued, as in `model.predicate`: TRUE, FALSE or UNKNOWN for a row. `Certain` is where layers join by IS TRUE.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from penstock_server.policy.proof.globs import Glob
from penstock_server.policy.proof.scales import Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The same truth for every row; None is UNKNOWN, under either polarity."""

    truth: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf:
    """The value is one of these."""

    column: str
    points: frozenset[Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class Below:
    """The value is less than the bound, or equal to it where `inclusive`."""

    column: str
    bound: Point
    inclusive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """The text matches a pattern that has wildcards."""

    column: str
    glob: Glob


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """The value is NULL; never UNKNOWN."""

    column: str


class ClaimKind(StrEnum):
    """Which values of the caller a test asks for."""

    NAME = ":user.name"
    GROUPS = ":user.groups"
    SUBJECT = ":user.subject"
    ATTRIBUTE = ":user.attributes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Values of the caller; `attribute` is "" but for attributes."""

    kind: ClaimKind
    attribute: str


class ClaimState(IntEnum):
    """How a cell stands to the caller's values; the six exclude each other and leave nothing out."""

    NOTHING = 0
    """No value, or one that does not fit the column: every test is UNKNOWN."""
    LESS = 1
    """One value, and the cell is less."""
    EQUAL = 2
    """One value, and the cell equals it."""
    GREATER = 3
    """One value, and the cell is greater."""
    AMONG = 4
    """Several values, and the cell is one of them."""
    OUTSIDE = 5
    """Several values, and the cell is none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerTest:
    """A column against the caller's values: TRUE in the states of `holds`, FALSE in `fails`, else UNKNOWN."""

    column: str
    claim: Claim
    holds: frozenset[ClaimState]
    fails: frozenset[ClaimState]


@dataclass(frozen=True, slots=True, kw_only=True)
class Negation:
    """Three-valued NOT."""

    operand: Term


@dataclass(frozen=True, slots=True, kw_only=True)
class Conjunction:
    """Three-valued AND; of nothing it is TRUE."""

    operands: tuple[Term, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disjunction:
    """Three-valued OR; of nothing it is FALSE."""

    operands: tuple[Term, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Certain:
    """TRUE where the operand IS TRUE, else FALSE."""

    operand: Term


Term = Settled | OneOf | Below | Matches | Missing | CallerTest | Negation | Conjunction | Disjunction | Certain
Atom = OneOf | Below | Matches
"""What splits the values of a column into regions, beside NULL."""
