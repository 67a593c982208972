"""What a case says, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock_server.config.document import Node, Place
from penstock_server.model.decision import Access
from penstock_server.query.requests import OtherPrincipal


@dataclass(frozen=True, slots=True, kw_only=True)
class TableQuestion:
    """What is seen of a table, by the name as a caller would write it."""

    table: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsQuestion:
    """Whether AWS credentials would be given."""

    resources: tuple[str, ...]
    access: tuple[Access, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginQuestion:
    """Whether a Redshift login would be given."""

    login: str


Question = TableQuestion | AwsQuestion | LoginQuestion


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is expected; None = nothing is said about it. `rows` is the row predicate in words, `TRUE` for all rows."""

    access: str | None
    columns: tuple[str, ...] | None
    masks: tuple[tuple[str, str], ...] | None
    partly_null: tuple[str, ...] | None
    rows: str | None
    grants: tuple[str, ...] | None
    database_groups: tuple[str, ...] | None
    max_ttl: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSource:
    """A cell as the file has it."""

    column: str
    node: Node


RowSource = tuple[CellSource, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows that a table would have, and what of them is seen, in any order."""

    given: tuple[RowSource, ...]
    seen: tuple[RowSource, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case; `rows` is None where it gives none."""

    name: str
    place: Place
    who: OtherPrincipal
    at: datetime
    ttl: timedelta | None
    purpose: str
    question: Question
    expected: Expected
    rows: Rows | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """One thing that is otherwise than expected, in words; several lines where it is about rows."""

    what: str
    expected: tuple[str, ...]
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What came of a case: it passed where nothing differs."""

    case: Case
    mismatches: tuple[Mismatch, ...]

    @property
    def passed(self) -> bool:
        """Whether everything is as expected."""
        return not self.mismatches
