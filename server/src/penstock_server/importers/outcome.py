"""What an import gives: files, what was left out, and how both sides compare."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from penstock_server.importers.row_forms import Rows
from penstock_server.model.resource import TableName


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class LeftOut:
    """Something that was not carried over: where it stands, what it is, and why not."""

    place: str
    what: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFile:
    """A file to write; `name` has no folder."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What one principal sees of one table: visible columns with where each is clear, and which rows appear.

    No columns: nothing but, where `described`, that the table exists.
    """

    columns: tuple[tuple[str, Rows], ...]
    rows: Rows
    described: bool


class Verdict(StrEnum):
    """How both sides compare."""

    SAME = "same"
    DIFFERENT = "DIFFERENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One principal and one table, from the records of AWS and from the bound policy.

    `who` is the AWS principal, `selector` what it is mapped to. `left_out` tells that records of this principal on this
    table were not carried over, so that AWS permits more than both sides here.
    """

    who: str
    selector: str
    table: TableName
    aws: View
    policy: View
    left_out: bool

    @property
    def verdict(self) -> Verdict:
        """Whether both sides are equal."""
        return Verdict.SAME if self.aws == self.policy else Verdict.DIFFERENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The outcome. `name` is what the report is called, without its suffix.

    `sources` pairs the name of each entry of the policy with what it was made from.
    """

    name: str
    files: tuple[PolicyFile, ...]
    left_out: tuple[LeftOut, ...]
    compared: tuple[Compared, ...]
    sources: tuple[tuple[str, str], ...]

    @property
    def different(self) -> tuple[Compared, ...]:
        """What differs; where there is anything, no file may be used."""
        return tuple(each for each in self.compared if each.verdict is not Verdict.SAME)
