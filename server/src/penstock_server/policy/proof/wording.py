"""Findings in sentences that a person can act on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from penstock_server.model.principal import Group
from penstock_server.policy.proof.callers import Somebody
from penstock_server.policy.proof.findings import (
    Example,
    Finding,
    FindingKind,
    Inference,
    Narrowing,
    Same,
    SubjectPlan,
    Undecided,
    Verdict,
    Widening,
)

MOST_NAMES: Final = 8
"""Most columns, or principals, that are written out."""


_LATER: Final = "columns that are added later, in {row}"
_LASTING: Final = "{who} would get credentials{of} that last {after} instead of {before}"
_OTHERWISE: Final = "{who} would see {after} instead of {before} for {what} of {row}"
_GAINS: Final[Mapping[FindingKind, str]] = {
    FindingKind.COLUMN: "{who} would newly know of {what}",
    FindingKind.LATER_COLUMNS: "{who} would newly see " + _LATER,
    FindingKind.ROW: "{who} would newly see {row}",
    FindingKind.CELL: "{who} would newly see {what} of {row}{instead}",
    FindingKind.MASK: "{who} would newly see {after} for {what} of {row}{instead}",
    FindingKind.OPEN_FILES: "to {who} nothing of the table would be hidden any more: its location opens to S3 grants",
    FindingKind.FILES: "{who} would newly get credentials for the files of the table",
    FindingKind.S3_ACCESS: "{who} would newly get {what} on {place}",
    FindingKind.S3_LISTING: "{who} would newly get {what} on all of {place}",
    FindingKind.LOGIN: "{who} would newly get the login",
    FindingKind.DATABASE_GROUP: "{who} would newly be in the database group {what}",
    FindingKind.LIFETIME: _LASTING,
}
_LOSSES: Final[Mapping[FindingKind, str]] = {
    FindingKind.COLUMN: "{who} would no longer know of {what}",
    FindingKind.LATER_COLUMNS: "{who} would no longer see " + _LATER,
    FindingKind.ROW: "{who} would no longer see {row}",
    FindingKind.CELL: _OTHERWISE,
    FindingKind.MASK: _OTHERWISE,
    FindingKind.OPEN_FILES: "{who} would find the location of the table closed to S3 grants",
    FindingKind.FILES: "{who} would no longer get credentials for the files of the table",
    FindingKind.S3_ACCESS: "{who} would no longer get {what} on {place}",
    FindingKind.S3_LISTING: "{who} would no longer get {what} on all of {place}",
    FindingKind.LOGIN: "{who} would no longer get the login",
    FindingKind.DATABASE_GROUP: "{who} would no longer be in the database group {what}",
    FindingKind.LIFETIME: _LASTING,
}


class Wording:
    """Writes findings; names of `default_issuer` are written without it, `since` is what needs no "from ... on"."""

    def __init__(self, *, default_issuer: str, since: datetime) -> None:
        self._default_issuer = default_issuer
        self._since = since

    def gain(self, finding: Finding, subject: SubjectPlan) -> str:
        """Say what somebody sees or gets more."""
        return self._sentence(_GAINS[finding.kind], finding, subject)

    def loss(self, finding: Finding, subject: SubjectPlan) -> str:
        """Say what somebody sees or gets no more, or otherwise."""
        return self._sentence(_LOSSES[finding.kind], finding, subject)

    def inference(self, notice: Inference) -> str:
        """Say what tells a column, with both rows."""
        what = "the row" if notice.betrayed_by is None else f"{notice.betrayed_by} of the row"
        return (
            f"{notice.column} is not shown to {self.somebody(notice.who)}, yet {what} is there for "
            f"{_values(notice.shown)} and not for {_values(notice.hidden)}: which ones appear tells it"
        )

    def somebody(self, who: Somebody) -> str:
        """Name principals alike."""
        parts: list[str] = []
        if who.username is not None:
            parts.append(who.username)
        if who.subject is not None:
            parts.append(f"subject {who.subject}")
        groups = " and ".join(self._group(group) for group in who.groups)
        if groups:
            parts.append(f"in {groups}" if parts else f"somebody in {groups}")
        name = " ".join(parts) or "everybody"
        if who.issuer != self._default_issuer:
            name += f" of {who.issuer}"
        claims = ", ".join(f"{claim} {' and '.join(values)}" for claim, values in who.attributes)
        return f"{name} with the attribute {claims}" if claims else name

    def members(self, members: tuple[Somebody, ...]) -> str:
        """Name classes of principals."""
        named = [self.somebody(who) for who in members[:MOST_NAMES]]
        more = f", and {len(members) - MOST_NAMES} more" if len(members) > MOST_NAMES else ""
        return ", ".join(named) + more

    def _sentence(self, form: str, finding: Finding, subject: SubjectPlan) -> str:
        example = finding.example
        who = self.somebody(example.who)
        when = "" if example.at <= self._since else f"from {example.at.isoformat()} on "
        return form.format(
            who=f"{when}{who}{_under(example)}",
            what=_things(finding, subject),
            row=_a_row(example),
            before=finding.before,
            after=finding.after,
            instead="" if finding.before == "NULL" else f" instead of {finding.before}",
            place=next((value for _, value in example.row), ""),
            of=f" for {', '.join(finding.things)} on {example.row[0][1]}" if finding.things and example.row else "",
        )

    def _group(self, group: Group) -> str:
        return f"group:{group.name}"


def verdict_word(verdict: Verdict) -> str:
    """Give the verdict in one word."""
    match verdict:
        case Same():
            return "SAME"
        case Narrowing():
            return "NARROWING"
        case Widening():
            return "WIDENING"
        case Undecided():
            return "UNDECIDED"


def _a_row(example: Example) -> str:
    return f"a row with {_values(example.row)}" if example.row else "every row"


def _under(example: Example) -> str:
    """Say under which circumstances, by the names of context keys in lower case."""
    given = ", ".join(f"{name} {' and '.join(values)}" for name, values in example.given)
    return f" (where {given})" if given else ""


def _values(row: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(_value(column, value) for column, value in row) or "any values"


def _value(column: str, value: str) -> str:
    if value.startswith(("a date ", "an instant ")):
        return f"{column} {value}"
    return f"{column}={value}"


def _things(finding: Finding, subject: SubjectPlan) -> str:
    if not finding.things:
        return f"the {subject.kind.value}"
    named = ", ".join(finding.things[:MOST_NAMES])
    more = f" and {len(finding.things) - MOST_NAMES} more" if len(finding.things) > MOST_NAMES else ""
    return named + more
