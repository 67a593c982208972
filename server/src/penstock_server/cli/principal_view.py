"""What one principal sees at every door, and which grants did it: for operators, computed by the serving evaluator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock_server.model.cell_paths import written_path
from penstock_server.model.decision import (
    AwsDecision,
    GovernedTable,
    RedshiftDecision,
    Shaping,
    TableDecision,
    TableDescribed,
    TableOutcome,
)
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.policy.bound import BoundPolicy, selectors_of
from penstock_server.policy.evaluation import visible_tables
from penstock_server.policy.explanation.predicates import predicate_in_words
from penstock_server.policy.items.decision import given_items
from penstock_server.policy.resources import decide_raw, decide_redshift
from penstock_server.policy.services.decision import given_services
from penstock_server.policy.situation import Situation


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnView:
    """A visible column; `mask` is "" where it shows none, `partly_null` = NULL on some rows by policy."""

    name: str
    type: str
    mask: str
    partly_null: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """A table that exists for the principal. `rows` says in words which are seen; "" where none may be read.

    `until` is the first instant at which this may change by itself; `files` = credentials for its files are granted.
    """

    name: str
    access: str
    columns: tuple[ColumnView, ...]
    rows: str
    grants: tuple[str, ...]
    row_rules: tuple[str, ...]
    files: bool
    until: datetime | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class S3View:
    """A grant on S3 objects that holds now; closed locations and denials may narrow what it gives."""

    arn: str
    permissions: tuple[str, ...]
    grant: str
    max_ttl: timedelta | None
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class S3DenialView:
    """A denial on S3 objects, or on items of DynamoDB, that holds for the principal, whatever any grant says."""

    arn: str
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsView:
    """A grant on items of DynamoDB that holds now; denials and other grants on the table may narrow what it gives.

    `leading_keys` and `attributes` are None where all are given.
    """

    arn: str
    permissions: tuple[str, ...]
    leading_keys: tuple[str, ...] | None
    attributes: tuple[str, ...] | None
    grant: str
    max_ttl: timedelta | None
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceView:
    """A grant on a resource of another AWS service that holds now; a denial may take away what it gives.

    `limits` pair the name of a limit with what a request must say.
    """

    arn: str
    permissions: tuple[str, ...]
    limits: tuple[tuple[str, tuple[str, ...]], ...]
    grant: str
    max_ttl: timedelta | None
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginView:
    """A Redshift login that would be given."""

    name: str
    database_groups: tuple[str, ...]
    grants: tuple[str, ...]
    max_ttl: timedelta | None
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalView:
    """Everything that a principal sees, by name."""

    tables: tuple[TableView, ...]
    s3: tuple[S3View, ...]
    s3_denials: tuple[S3DenialView, ...]
    logins: tuple[LoginView, ...]
    items: tuple[ItemsView, ...]
    items_denials: tuple[S3DenialView, ...]
    services: tuple[ServiceView, ...] = ()
    service_denials: tuple[S3DenialView, ...] = ()


def view_of(policy: BoundPolicy, principal: Principal, *, facts: RequestFacts, logins: Iterable[str]) -> PrincipalView:
    """Give what a principal sees in a request; `logins` are the configured Redshift logins."""
    tables = visible_tables(policy, principal, facts=facts)
    decided = [decide_redshift(policy, principal, login, facts=facts) for login in sorted(logins)]
    return PrincipalView(
        tables=tuple(table_view(policy, principal, outcome, facts=facts) for outcome in tables),
        s3=_s3(policy, principal, facts),
        s3_denials=tuple(
            S3DenialView(arn=denial.pattern.text, permissions=tuple(sorted(denial.permissions)))
            for denial in policy.s3_denials
            if denial.spared.holds_for(principal)
        ),
        logins=tuple(_login(outcome) for outcome in decided if isinstance(outcome, RedshiftDecision)),
        items=_items(policy, principal, facts),
        items_denials=tuple(
            S3DenialView(arn=str(denial.target), permissions=tuple(sorted(denial.permissions)))
            for denial in policy.dynamodb_denials
            if denial.spared.holds_for(principal)
        ),
        services=_services(policy, principal, facts),
        service_denials=tuple(
            S3DenialView(arn=str(denial.target), permissions=tuple(sorted(denial.permissions)))
            for denial in policy.service_denials
            if denial.spared.holds_for(principal)
        ),
    )


def table_view(
    policy: BoundPolicy, principal: Principal, outcome: TableDecision | TableDescribed, *, facts: RequestFacts
) -> TableView:
    """Give what a principal sees of one table."""
    if isinstance(outcome, TableDescribed):
        return TableView(
            name=str(outcome.schema.name),
            access="DESCRIBE",
            columns=tuple(
                ColumnView(name=column.name, type=column.type.sql, mask="", partly_null=False)
                for column in outcome.columns
            ),
            rows="",
            grants=(),
            row_rules=(),
            files=False,
            until=None,
            reason=outcome.reason,
        )
    raw = decide_raw(policy, principal, outcome.table.name, facts=facts)
    return TableView(
        name=str(outcome.table.name),
        access="SELECT",
        columns=columns_of(outcome.table, outcome.shaping),
        rows=rows_of(outcome.table),
        grants=outcome.shaping.grants,
        row_rules=outcome.shaping.row_rules,
        files=outcome.full and isinstance(raw, AwsDecision),
        until=outcome.expires_at,
        reason="",
    )


def columns_of(table: GovernedTable, shaping: Shaping) -> tuple[ColumnView, ...]:
    """Give the visible columns in the order of the table, and in place of rebuilt structs their fields."""
    masks, partly_null = dict(shaping.masked), frozenset(shaping.partly_null)
    return tuple(
        ColumnView(
            name=written_path(part.column.name),
            type=part.column.type.sql,
            mask=masks.get(written_path(part.column.name), ""),
            partly_null=written_path(part.column.name) in partly_null,
        )
        for part in table.parts()
    )


def rows_of(table: GovernedTable) -> str:
    """Say which rows are seen, as a filter would write it; `TRUE` for all."""
    return (
        " AND ".join(
            predicate_in_words(predicate) if len(table.rows) == 1 else f"({predicate_in_words(predicate)})"
            for predicate in table.rows
        )
        or "TRUE"
    )


def access_of(outcome: TableOutcome) -> str:
    """Give the word for an outcome: `select`, `describe` or `not found`."""
    match outcome:
        case TableDecision():
            return "select"
        case TableDescribed():
            return "describe"
        case _:
            return "not found"


def _s3(policy: BoundPolicy, principal: Principal, facts: RequestFacts) -> tuple[S3View, ...]:
    situation = Situation.of(policy, principal, facts, carried=True)
    named = {grant.name: grant for selector in selectors_of(principal) for grant in policy.s3_grants.get(selector, ())}
    return tuple(
        S3View(
            arn=grant.pattern.text,
            permissions=tuple(sorted(grant.permissions)),
            grant=name,
            max_ttl=grant.max_ttl,
            until=situation.end_of(grant),
        )
        for name, grant in sorted(named.items())
        if situation.holds(grant)
    )


def _items(policy: BoundPolicy, principal: Principal, facts: RequestFacts) -> tuple[ItemsView, ...]:
    situation = Situation.of(policy, principal, facts, carried=True)
    return tuple(
        ItemsView(
            arn=str(given.grant.target),
            permissions=tuple(sorted(given.grant.permissions)),
            leading_keys=None if given.leading_keys is None else tuple(sorted(given.leading_keys)),
            attributes=given.grant.attributes,
            grant=given.grant.name,
            max_ttl=given.grant.max_ttl,
            until=situation.end_of(given.grant),
        )
        for given in given_items(policy, principal, situation)
    )


def _services(policy: BoundPolicy, principal: Principal, facts: RequestFacts) -> tuple[ServiceView, ...]:
    situation = Situation.of(policy, principal, facts, carried=True)
    return tuple(
        ServiceView(
            arn=str(given.grant.target),
            permissions=tuple(sorted(given.grant.permissions)),
            limits=tuple((limit.name, limit.values) for limit in given.limits),
            grant=given.grant.name,
            max_ttl=given.grant.max_ttl,
            until=situation.end_of(given.grant),
        )
        for given in given_services(policy, principal, situation)
    )


def _login(decision: RedshiftDecision) -> LoginView:
    return LoginView(
        name=decision.login,
        database_groups=decision.database_groups,
        grants=decision.grants,
        max_ttl=decision.max_ttl,
        until=decision.expires_at,
    )
