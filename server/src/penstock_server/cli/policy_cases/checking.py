"""Holds cases against what would be decided and seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from penstock_server.broker.table_names import parse_table_name
from penstock_server.cli.policy_cases.cases import (
    AwsQuestion,
    Case,
    CaseResult,
    Expected,
    LoginQuestion,
    Mismatch,
    TableQuestion,
)
from penstock_server.cli.policy_cases.given_rows import RowsAnswer, RowsQuestion, rows_in_words, see_rows
from penstock_server.cli.principal_view import columns_of, rows_of
from penstock_server.config.quantities import print_duration
from penstock_server.config.settings import Settings
from penstock_server.credentials.closed_locations import ConfiguredLocations, require_open
from penstock_server.credentials.closed_services import require_open_services
from penstock_server.credentials.covered import cover
from penstock_server.credentials.location_index import LocationIndex
from penstock_server.credentials.requests import AwsCredentialRequest
from penstock_server.errors import PenstockError
from penstock_server.model.decision import RedshiftDecision, TableDecision, TableDescribed, TableHidden
from penstock_server.model.request import RequestFacts
from penstock_server.model.resource import TablePermission
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.evaluation import resolve
from penstock_server.policy.resources import decide_redshift


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What was found, in the words of `Expected`; `note` says why, where something was refused."""

    expected: Expected
    note: str
    table: TableDecision | None


async def check(cases: Sequence[Case], policy: BoundPolicy, settings: Settings) -> tuple[CaseResult, ...]:
    """Decide all cases, in their order.

    Raises:
        ConfigurationError: given rows do not fit their table.
        Unavailable: no process can be had for them.
    """
    checker = _Checker(policy, settings)
    found = [checker.decide(case) for case in cases]
    asked = [
        (number, RowsQuestion(table=one.table.table, rows=case.rows))
        for number, (case, one) in enumerate(zip(cases, found, strict=True))
        if case.rows is not None and one.table is not None
    ]
    answers = await see_rows([question for _, question in asked])
    seen = {number: answer for (number, _), answer in zip(asked, answers, strict=True)}
    return tuple(
        CaseResult(case=case, mismatches=tuple(_mismatches(case, one, seen.get(number))))
        for number, (case, one) in enumerate(zip(cases, found, strict=True))
    )


class _Checker:
    def __init__(self, policy: BoundPolicy, settings: Settings) -> None:
        self._policy = policy
        self._locations = LocationIndex(policy.snapshot.tables)
        self._configured = ConfiguredLocations(
            protected=tuple(settings.credentials.protected_locations),
            catalogs=tuple(catalog.location for catalog in settings.catalogs if catalog.location is not None),
        )

    def decide(self, case: Case) -> _Found:
        """Decide one case; an error that a caller would get is an answer too."""
        try:
            match case.question:
                case TableQuestion():
                    return self._table(case, case.question)
                case AwsQuestion():
                    return self._aws(case, case.question)
                case LoginQuestion():
                    return self._login(case, case.question)
                case _:
                    assert_never(case.question)
        except PenstockError as error:
            word = "not found" if isinstance(case.question, TableQuestion) else "denied"
            return _Found(expected=_expected(access=word), note=f"{error.message}; {error.hint}", table=None)

    def _facts(self, case: Case, *, carried: bool) -> RequestFacts:
        return RequestFacts(
            at=case.at,
            source_address=case.who.source_address,
            requested_ttl=case.ttl,
            purpose=case.purpose,
            carried=carried,
        )

    def _table(self, case: Case, question: TableQuestion) -> _Found:
        parts = parse_table_name("table", question.table)
        principal = case.who.principal
        facts = self._facts(case, carried=False)
        outcome = resolve(self._policy, principal, parts, default_catalog=None, facts=facts)
        match outcome:
            case TableHidden():
                return _Found(expected=_expected(access="not found"), note="", table=None)
            case TableDescribed():
                bound = self._policy.tables[outcome.schema.name.key()]
                denied = TablePermission.SELECT in bound.denied(principal)
                columns = tuple(column.name for column in outcome.columns)
                expected = _expected(access="denied" if denied else "describe", columns=columns)
                return _Found(expected=expected, note=outcome.reason, table=None)
            case TableDecision():
                columns_seen = columns_of(outcome.table, outcome.shaping)
                expected = Expected(
                    access="select",
                    columns=tuple(column.name for column in columns_seen),
                    masks=tuple(sorted((column.name, column.mask) for column in columns_seen if column.mask)),
                    partly_null=tuple(column.name for column in columns_seen if column.partly_null),
                    rows=rows_of(outcome.table),
                    grants=outcome.shaping.grants,
                    database_groups=None,
                    max_ttl=None,
                )
                return _Found(expected=expected, note="", table=outcome)
            case _:
                assert_never(outcome)

    def _aws(self, case: Case, question: AwsQuestion) -> _Found:
        request = AwsCredentialRequest(
            resources=question.resources, access=question.access, ttl=case.ttl, purpose=case.purpose, request_id=None
        )
        facts = self._facts(case, carried=True)
        covered = cover(self._policy, case.who.principal, request, facts=facts)
        require_open(
            covered.requested,
            policy=self._policy,
            locations=self._locations,
            principal=case.who.principal,
            configured=self._configured,
            facts=facts,
        )
        require_open_services(covered.service_targets, policy=self._policy, principal=case.who.principal, facts=facts)
        expected = _expected(access="allowed", grants=covered.grants, max_ttl=covered.max_ttl)
        return _Found(expected=expected, note="", table=None)

    def _login(self, case: Case, question: LoginQuestion) -> _Found:
        facts = self._facts(case, carried=True)
        outcome = decide_redshift(self._policy, case.who.principal, question.login, facts=facts)
        if not isinstance(outcome, RedshiftDecision):
            return _Found(expected=_expected(access="denied"), note=outcome.reason, table=None)
        expected = _expected(
            access="allowed",
            grants=outcome.grants,
            database_groups=outcome.database_groups,
            max_ttl=outcome.max_ttl,
        )
        return _Found(expected=expected, note="", table=None)


def _expected(
    *,
    access: str,
    columns: tuple[str, ...] | None = None,
    grants: tuple[str, ...] | None = None,
    database_groups: tuple[str, ...] | None = None,
    max_ttl: timedelta | None = None,
) -> Expected:
    return Expected(
        access=access,
        columns=columns,
        masks=None,
        partly_null=None,
        rows=None,
        grants=grants,
        database_groups=database_groups,
        max_ttl=max_ttl,
    )


def _mismatches(case: Case, found: _Found, answer: RowsAnswer | None) -> Iterable[Mismatch]:
    wanted, real = case.expected, found.expected
    if wanted.access is not None and wanted.access != real.access:
        note = f" ({found.note})" if found.note else ""
        yield Mismatch(what="access", expected=(wanted.access,), found=(f"{real.access}{note}",))
    lists = (
        ("columns", wanted.columns, real.columns),
        ("partly_null", wanted.partly_null, real.partly_null),
        ("grants", wanted.grants, real.grants),
        ("database_groups", wanted.database_groups, real.database_groups),
    )
    for what, expected, there in lists:
        if expected is not None and sorted(expected) != sorted(there or ()):
            yield Mismatch(what=what, expected=(_joined(expected),), found=(_joined(there or ()),))
    if wanted.masks is not None and wanted.masks != (real.masks or ()):
        yield Mismatch(what="masks", expected=(_pairs(wanted.masks),), found=(_pairs(real.masks or ()),))
    if wanted.rows is not None and wanted.rows != real.rows:
        yield Mismatch(what="rows", expected=(wanted.rows,), found=(real.rows or "none can be read",))
    if wanted.max_ttl is not None and wanted.max_ttl != real.max_ttl:
        written = "no bound" if real.max_ttl is None else print_duration(real.max_ttl)
        yield Mismatch(what="max_ttl", expected=(print_duration(wanted.max_ttl),), found=(written,))
    if case.rows is not None:
        yield from _rows_mismatch(case, real.access or "", answer)


def _rows_mismatch(case: Case, access: str, answer: RowsAnswer | None) -> Iterable[Mismatch]:
    if answer is None:
        if case.rows is not None and case.rows.seen:
            yield Mismatch(what="seen", expected=("rows",), found=(f"none can be read: access is {access}",))
        return
    expected, seen = Counter(answer.expected), Counter(answer.seen)
    if expected != seen:
        yield Mismatch(
            what="seen",
            expected=rows_in_words(answer.columns, (expected - seen).elements()),
            found=rows_in_words(answer.columns, (seen - expected).elements()),
        )


def _joined(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{column}: {mask}" for column, mask in pairs) or "none"
