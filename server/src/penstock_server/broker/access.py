"""What the caller may do, without doing it."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_server.broker.callers import Caller, Roles
from penstock_server.broker.decision_records import DecisionRecords, Question
from penstock_server.broker.explained_principals import AskedPrincipal
from penstock_server.broker.policies import Policies
from penstock_server.broker.query_door import QueryBroker
from penstock_server.broker.table_names import parse_table_name
from penstock_server.credentials.explanation import explain_target, explain_target_for_administrator, read_target
from penstock_server.errors import InvalidRequest
from penstock_server.model.audit import Event
from penstock_server.model.clock import Clock
from penstock_server.model.decision import (
    PolicyVersion,
    TableDecision,
    TableDescribed,
    TableHidden,
    TableOutcome,
)
from penstock_server.model.explanation import ExplanationNode
from penstock_server.model.principal import KnownIssuers
from penstock_server.policy.explanation.for_callers import explain
from penstock_server.query.explanations import QueryExplanation
from penstock_server.query.requests import OtherPrincipal, QueryRequest

MAX_TABLES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessAnswer:
    """The outcome for one table, and the name by which it was asked for."""

    asked: str
    outcome: TableOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessAnswers:
    """Answers in the order of the questions, all by one policy version."""

    answers: tuple[AccessAnswer, ...]
    policy_version: PolicyVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How a decision came about."""

    tree: ExplanationNode
    policy_version: PolicyVersion


class AccessBroker:
    """Answers AccessService."""

    def __init__(
        self,
        *,
        policies: Policies,
        queries: QueryBroker,
        roles: Roles,
        issuers: KnownIssuers,
        records: DecisionRecords,
        clock: Clock,
    ) -> None:
        self._policies = policies
        self._queries = queries
        self._roles = roles
        self._issuers = issuers
        self._records = records
        self._clock = clock

    async def check(self, caller: Caller, tables: tuple[str, ...]) -> AccessAnswers:
        """Decide about 1 to 100 tables.

        Raises:
            QueryError: a name means several of the caller's tables.
            InvalidRequest, Unavailable.
        """
        question = Question(event=Event.ACCESS_CHECKED, caller=caller, resources=tables)
        async with self._records.refusals(question):
            policy = self._policies.current()
            if not 1 <= len(tables) <= MAX_TABLES:
                raise InvalidRequest("tables", f"1 to {MAX_TABLES} table names")
            names = [parse_table_name(f"tables[{number}]", table) for number, table in enumerate(tables)]
            facts = caller.context.facts(at=self._clock.now())
            answers = tuple(
                AccessAnswer(
                    asked=table, outcome=policy.resolve(caller.principal, parts, default_catalog=None, facts=facts)
                )
                for table, parts in zip(tables, names, strict=True)
            )
        details = (("answers", ",".join(_word(answer.outcome) for answer in answers)),)
        await self._records.allowed(question, policy.version, details=details)
        return AccessAnswers(answers=answers, policy_version=policy.version)

    async def explain(self, caller: Caller, table: str) -> Explanation:
        """Explain the decision about one table, or about one ARN that `read_target` reads.

        Raises:
            NotFound: there is none for this caller; a hidden one is not explained.
            QueryError: the name means several of the caller's tables.
            InvalidRequest, Unavailable.
        """
        question = Question(event=Event.ACCESS_EXPLAINED, caller=caller, resources=(table,))
        async with self._records.refusals(question):
            policy = self._policies.bound()
            facts = caller.context.facts(at=self._clock.now())
            target = read_target("table", table)
            if target is None:
                parts = parse_table_name("table", table)
                tree = explain(policy, caller.principal, parts, default_catalog=None, facts=facts)
            else:
                tree = explain_target(policy, caller.principal, target, facts=facts)
        await self._records.allowed(question, policy.version, details=())
        return Explanation(tree=tree, policy_version=policy.version)

    async def explain_of_other(self, caller: Caller, table: str, asked: AskedPrincipal) -> Explanation:
        """Explain to an administrator the decision about one table or ARN for somebody else, whom nobody need know.

        Raises:
            AccessDenied: the caller is no administrator (`ROLE_REQUIRED`), whoever is asked about.
            NotFound: the table is in no catalog.
            QueryError: the name means several tables.
            InvalidRequest, Unavailable.
        """
        question = Question(event=Event.ACCESS_EXPLAINED, caller=caller, resources=(table,), about=asked.details())
        async with self._records.refusals(question):
            other = self._described(caller, asked)
            policy = self._policies.current()
            facts = other.facts(self._clock.now())
            target = read_target("table", table)
            if target is None:
                parts = parse_table_name("table", table)
                tree = policy.explain_for_administrator(other.principal, parts, default_catalog=None, facts=facts)
            else:
                tree = explain_target_for_administrator(policy.bound, other.principal, target, facts=facts)
        await self._records.allowed(question, policy.version, details=other.details())
        return Explanation(tree=tree, policy_version=policy.version)

    async def explain_query(
        self, caller: Caller, request: QueryRequest, asked: AskedPrincipal | None
    ) -> QueryExplanation:
        """Explain each table of a statement: to the caller themselves, or to an administrator for somebody else.

        Raises:
            AccessDenied: somebody else is asked about, and the caller is no administrator (`ROLE_REQUIRED`); or the
                caller may know a table and not read it.
            QueryError, InvalidRequest, LimitExceeded, Unavailable: as for the statement itself.
        """
        if asked is None:
            return await self._queries.explain(caller, request)
        question = Question(event=Event.ACCESS_EXPLAINED, caller=caller, resources=("query",), about=asked.details())
        async with self._records.refusals(question):
            other = self._described(caller, asked)
        return await self._queries.explain_of_other(caller, request, other)

    def _described(self, caller: Caller, asked: AskedPrincipal) -> OtherPrincipal:
        # SECURITY: authorised before anything of the question is looked at: nobody learns whom the broker knows.
        self._roles.require_administrator(caller.principal)
        return asked.described(self._issuers, at=self._clock.now())


def _word(outcome: TableOutcome) -> str:
    match outcome:
        case TableDecision():
            return "select"
        case TableDescribed():
            return "describe"
        case TableHidden():
            return "not found"
