"""Asks the serving evaluator about a witness: what does this principal really see, in each version?"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock_server.model.decision import AwsDecision, GovernedTable, TableDecision, TableDescribed, TableOutcome
from penstock_server.model.posture import BucketPosture, Finding, Posture, Requirement
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.model.resource import TableName
from penstock_server.model.schema import cells_of
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.conditions.posture import posture_of_values
from penstock_server.policy.evaluation import decide
from penstock_server.policy.proof.callers import Somebody
from penstock_server.policy.proof.circumstances import ADDRESS, TAG, Given
from penstock_server.policy.proof.later_columns import LATER_COLUMN, LATER_COLUMNS
from penstock_server.policy.proof.rows import Display, Look, Row, display, is_visible
from penstock_server.policy.resources import decide_raw


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A principal, an instant and a row, made from a model. `relevant` are the columns that the model speaks of.

    `given` are values of context keys, by their lower-case names without the prefix.
    """

    who: Somebody
    at: datetime
    row: Row
    relevant: frozenset[str]
    given: tuple[tuple[str, tuple[str, ...]], ...]


def principal_of(witness: Witness) -> Principal:
    """Give a principal of these; where no selector has the username, it has none."""
    who, at, given = witness.who, witness.at, dict(witness.given)
    tags = tuple((name.removeprefix(TAG), values) for name, values in given.items() if name.startswith(TAG))
    age = timedelta(seconds=int(_only(given, "tokenage") or "0"))
    return Principal(
        issuer=who.issuer,
        subject=who.subject if who.subject is not None else "a subject that no rule names",
        username=who.username,
        groups=frozenset(who.groups),
        groups_complete=True,
        attributes=tuple(sorted({**dict(tags), **dict(who.attributes)}.items())),
        client_id=_only(given, "clientid"),
        authentication_methods=given.get("authenticationmethods", ()),
        issued_at=at - age,
        expires_at=at + timedelta(hours=1) if at.year < 9999 else at,
    )


def facts_of(witness: Witness, *, carried: bool = False) -> RequestFacts:
    """Give the facts of the request of a witness."""
    given = dict(witness.given)
    ttl = _only(given, "requestedttl")
    return RequestFacts(
        at=witness.at,
        source_address=_only(given, ADDRESS) or "",
        requested_ttl=None if ttl is None else timedelta(seconds=int(ttl)),
        purpose=_only(given, "purpose") or "",
        carried=carried,
        posture=_posture(witness, given),
    )


def _posture(witness: Witness, given: Given) -> Posture:
    """Give what is known of buckets where a witness is; it is known for as long as anything is asked."""
    met = posture_of_values(given)
    return Posture(
        buckets=tuple(
            BucketPosture(
                bucket=bucket,
                checked_at=witness.at,
                findings=tuple(
                    Finding(requirement=each, met=(bucket, each) in met, why="", remedy="") for each in Requirement
                ),
            )
            for bucket in sorted({bucket for bucket, _ in met})
        ),
        max_age=timedelta(hours=1),
    )


def _only(given: Given, name: str) -> str | None:
    values = given.get(name, ())
    return values[0] if len(values) == 1 else None


_Asking = tuple[Somebody, datetime, tuple[tuple[str, tuple[str, ...]], ...], bool]
"""All of a witness that a decision depends on, and whether it is about columns to come."""


class TableConfirmation:
    """What one version shows of one table."""

    def __init__(self, policy: BoundPolicy, name: TableName) -> None:
        self._name = name
        self._policy = policy
        self._later = _with_later_column(policy, name)
        # The same principal is asked about many times in a row, and mostly about the same row.
        self._last: tuple[_Asking, TableOutcome] | None = None
        self._last_shown: tuple[Witness, TableOutcome, bool] | None = None

    def names(self, witness: Witness, column: str) -> bool:
        """Tell whether the witness may know of a column."""
        outcome = self._outcome(witness, column)
        match outcome:
            case TableDecision():
                return any(cell.name == column for cell in outcome.table.cells())
            case TableDescribed():
                return any(cell.name == column for known in outcome.columns for cell in cells_of(known))
            case _:
                return False

    def shows_row(self, witness: Witness) -> bool:
        """Tell whether the witness sees the row."""
        return self._shown(witness, None) is not None

    def display(self, witness: Witness, column: str) -> Display:
        """Tell how the witness sees a cell of the row; NULL where the row is there and the column is not."""
        table = self._shown(witness, column)
        return Look.HIDDEN if table is None else display(table, column, witness.row)

    def is_full(self, witness: Witness) -> bool:
        """Tell whether nothing of the table is hidden from the witness, which opens its location."""
        facts = facts_of(witness, carried=True)
        outcome = decide(self._policy, principal_of(witness), self._name, facts=facts)
        return isinstance(outcome, TableDecision) and outcome.full and outcome.table.schema.location is not None

    def gives_files(self, witness: Witness) -> bool:
        """Tell whether the witness may have the files of the table by RAW."""
        raw = decide_raw(self._policy, principal_of(witness), self._name, facts=facts_of(witness))
        return isinstance(raw, AwsDecision) and self.is_full(witness)

    def _shown(self, witness: Witness, column: str | None) -> GovernedTable | None:
        """Give what the witness sees of the table, None where that is not the row."""
        outcome = self._outcome(witness, column)
        if not isinstance(outcome, TableDecision):
            return None
        last = self._last_shown
        if last is None or last[0] is not witness or last[1] is not outcome:
            last = self._last_shown = witness, outcome, is_visible(outcome.table, witness.row)
        return outcome.table if last[2] else None

    def _outcome(self, witness: Witness, column: str | None) -> TableOutcome:
        """Give the decision, which does not depend on the row."""
        asking = witness.who, witness.at, witness.given, column == LATER_COLUMNS
        if self._last is None or self._last[0] != asking:
            policy = self._later if column == LATER_COLUMNS else self._policy
            self._last = asking, decide(policy, principal_of(witness), self._name, facts=facts_of(witness))
        return self._last[1]


def _with_later_column(policy: BoundPolicy, name: TableName) -> BoundPolicy:
    """Give the policy as it were bound if the table had one more column, which no list of columns names."""
    table = policy.tables.get(name.key())
    if table is None or table.schema.column(LATER_COLUMNS) is not None:
        return policy
    schema = dataclasses.replace(table.schema, columns=(*table.schema.columns, LATER_COLUMN))
    return dataclasses.replace(policy, tables={name.key(): dataclasses.replace(table, schema=schema)})
