"""DECIDE: every name of a statement to one decision, or to the error that the caller may see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from penstock_server.engines.base import KnownTable, ResolvedReference, TableReference
from penstock_server.errors import QueryError
from penstock_server.model.decision import PolicyVersion, TableDecision, TableDescribed, TableHidden, TableOutcome
from penstock_server.model.explanation import ExplanationNode
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.model.statement_masks import for_statement, new_salt
from penstock_server.policy.evaluation import table_not_found, table_not_readable
from penstock_server.query.requests import AppliedPolicy


class PolicyInForce(Protocol):
    """The bound policy as a statement sees it: caught once, the same to the end."""

    @property
    def version(self) -> PolicyVersion:
        """The version that stands on every decision."""
        ...

    def resolve(
        self, principal: Principal, parts: tuple[str, ...], *, default_catalog: str | None, facts: RequestFacts
    ) -> TableOutcome:
        """Decide about a table as a statement names it, by one, two or three parts."""
        ...

    def visible_tables(
        self, principal: Principal, *, facts: RequestFacts
    ) -> tuple[TableDecision | TableDescribed, ...]:
        """Decide about every table that exists for a principal, by full name."""
        ...

    def explain(self, principal: Principal, decision: TableDecision, *, facts: RequestFacts) -> ExplanationNode:
        """Explain a decision of this policy to the principal of whom it is."""
        ...

    def explain_for_administrator(
        self, principal: Principal, parts: tuple[str, ...], *, default_catalog: str | None, facts: RequestFacts
    ) -> ExplanationNode:
        """Explain to an administrator what somebody else sees of a table. Raises NotFound, QueryError."""
        ...


class PolicyHolder(Protocol):
    """Who knows the policy that decides now."""

    def current(self) -> PolicyInForce:
        """Give it. Raises Unavailable (`POLICY_NOT_LOADED`)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Every reference with its decision, in the statement's order; a table named twice stands in `decisions` once."""

    references: tuple[ResolvedReference, ...]
    decisions: tuple[TableDecision, ...]

    @property
    def applied(self) -> tuple[AppliedPolicy, ...]:
        """What the caller is told of each table."""
        return tuple(
            AppliedPolicy(table=decision.table.name, shaping=decision.shaping, fingerprint=decision.fingerprint)
            for decision in self.decisions
        )

    @property
    def expires_at(self) -> datetime | None:
        """The first instant at which one of the decisions may change."""
        instants = [decision.expires_at for decision in self.decisions if decision.expires_at is not None]
        return min(instants, default=None)


def resolve_references(
    policy: PolicyInForce,
    principal: Principal,
    references: Sequence[TableReference],
    *,
    catalog: str | None,
    facts: RequestFacts,
) -> Resolution:
    """Decide about each reference, in order; the first that may not be queried ends the statement.

    Raises:
        QueryError: `TABLE_NOT_FOUND`, one text for what is missing and what is hidden.
        AccessDenied: `DENIED_BY_POLICY`, the caller may know the table and not read it.
    """
    resolved: list[ResolvedReference] = []
    decisions: dict[tuple[str, str, str], TableDecision] = {}
    salt = new_salt()
    for reference in references:
        outcome = policy.resolve(principal, reference.parts, default_catalog=catalog, facts=facts)
        match outcome:
            case TableDecision():
                key = outcome.table.name.key()
                # INVARIANT: one decision a table, whatever it is called in the statement.
                decision = decisions.setdefault(key, for_statement(outcome, salt))
                # What is made for one statement alone is not worth keeping.
                shared = decision.fingerprint if decision.fingerprint == outcome.fingerprint else None
                resolved.append(
                    ResolvedReference(
                        reference=reference,
                        table=decision.table,
                        fingerprint=shared,
                        expires_at=decision.expires_at,
                    )
                )
            case TableDescribed():
                raise table_not_readable(outcome, reference.parts)
            case TableHidden():
                raise _not_found(reference)
    return Resolution(references=tuple(resolved), decisions=tuple(decisions.values()))


def known_tables(policy: PolicyInForce, principal: Principal, *, facts: RequestFacts) -> tuple[KnownTable, ...]:
    """Give what a principal may know of: what may be read, and what may be described alone."""
    known: list[KnownTable] = []
    for outcome in policy.visible_tables(principal, facts=facts):
        match outcome:
            case TableDecision(table=table):
                columns = tuple(governed.column for governed in table.columns)
                known.append(KnownTable(name=table.name, columns=columns))
            case TableDescribed(schema=schema, columns=columns):
                known.append(KnownTable(name=schema.name, columns=columns))
    return tuple(known)


def _not_found(reference: TableReference) -> QueryError:
    told = table_not_found(reference.parts)
    return QueryError(told.reason, told.message, position=reference.position, hint=told.hint, metadata=told.metadata)
