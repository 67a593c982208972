"""What a comparison finds: verdicts, findings with their witnesses, notices, and the plan that holds them all.

A verdict is a type of its own and no truth value, so that nothing undecided ever passes for something narrower.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NoReturn

from penstock_server.model.decision import PolicyVersion
from penstock_server.model.resource import TableName
from penstock_server.policy.proof.callers import Somebody


class FindingKind(StrEnum):
    """What is seen more, less or otherwise."""

    COLUMN = "column"
    """The names of columns, and that the table exists."""
    ROW = "row"
    """Rows, and in them what the columns show."""
    CELL = "cell"
    """Clear values, in rows that are seen in both versions."""
    MASK = "mask"
    """What a mask shows instead of a value, in rows that are seen in both versions."""
    LATER_COLUMNS = "later columns"
    """Columns that the catalog does not have yet."""
    OPEN_FILES = "open files"
    """The table hides nothing any more, so that its location is open to grants on S3."""
    FILES = "files"
    """Credentials for the files of the table (RAW)."""
    S3_ACCESS = "s3 access"
    """A permission on S3 objects."""
    S3_LISTING = "s3 listing"
    """A permission on all objects below a prefix."""
    LOGIN = "redshift login"
    """A Redshift login."""
    DATABASE_GROUP = "database group"
    """A database group of a Redshift login."""
    LIFETIME = "lifetime"
    """Credentials that last longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A witness: who, from when on, and a row by the values that matter (column, value as a filter would write it).

    `given` are the circumstances that matter: values of context keys, by their names in lower case.
    """

    who: Somebody
    at: datetime
    given: tuple[tuple[str, tuple[str, ...]], ...]
    row: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is seen in one version and not in the other, or otherwise.

    `things` are columns, permissions or database groups. `before` and `after` say in words what the example sees.
    """

    kind: FindingKind
    things: tuple[str, ...]
    before: str
    after: str
    example: Example


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    def __bool__(self) -> NoReturn:
        raise TypeError("a verdict is no truth value; match its type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Same(_Verdict):
    """Nobody sees anything else: proved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing(_Verdict):
    """Nobody sees more: proved. Somebody sees less or otherwise, unless `losses` is empty: then that is not known."""

    losses: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Widening(_Verdict):
    """Somebody sees more: each of `gains`, at least one, was confirmed by the serving evaluator.

    `open_questions` say what else could not be decided.
    """

    gains: tuple[Finding, ...]
    losses: tuple[Finding, ...]
    open_questions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided(_Verdict):
    """Whether somebody sees more is not known; `reasons`, at least one, say why."""

    reasons: tuple[str, ...]


Verdict = Same | Narrowing | Widening | Undecided


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPlan:
    """The verdict for principals alike; `members` are classes for which the same holds, each by itself."""

    members: tuple[Somebody, ...]
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """A column that is not shown clear tells something of itself, by which rows or cells appear.

    `shown` and `hidden` are two rows that differ in this column only, of which `who` sees the first, or in it the cell
    of `betrayed_by`, and not the second.
    """

    table: TableName
    column: str
    betrayed_by: str | None
    who: Somebody
    shown: tuple[tuple[str, str], ...]
    hidden: tuple[tuple[str, str], ...]


class SubjectKind(StrEnum):
    """What is compared."""

    TABLE = "table"
    BUCKET = "bucket"
    LOGIN = "redshift login"
    ITEMS = "dynamodb table"
    SERVICE = "aws resource"
    POLICY = "policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectPlan:
    """One table, bucket or login: `verdict` is for all principals, `classes` are those of which it is not `Same`."""

    kind: SubjectKind
    name: str
    verdict: Verdict
    classes: tuple[ClassPlan, ...]
    notices: tuple[Inference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a change of policy does. `subjects` leaves out what is `Same`, of which `unchanged` is the number.

    `since` is the instant from which on it holds (aware); `default_issuer` is the issuer of names without one.
    """

    old: PolicyVersion
    new: PolicyVersion
    since: datetime
    default_issuer: str
    subjects: tuple[SubjectPlan, ...]
    unchanged: int
