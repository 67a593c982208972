"""What the caller may do, without doing it."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_server.broker.callers import Caller
from penstock_server.broker.decision_records import DecisionRecords, Question
from penstock_server.broker.policies import Policies
from penstock_server.broker.table_names import parse_table_name
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
from penstock_server.policy.explanation import explain

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

    def __init__(self, *, policies: Policies, records: DecisionRecords, clock: Clock) -> None:
        self._policies = policies
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
        """Explain the decision about one table.

        Raises:
            NotFound: there is none for this caller; a hidden one is not explained.
            QueryError: the name means several of the caller's tables.
            InvalidRequest, Unavailable.
        """
        question = Question(event=Event.ACCESS_EXPLAINED, caller=caller, resources=(table,))
        async with self._records.refusals(question):
            policy = self._policies.bound()
            parts = parse_table_name("table", table)
            facts = caller.context.facts(at=self._clock.now())
            tree = explain(policy, caller.principal, parts, default_catalog=None, facts=facts)
        await self._records.allowed(question, policy.version, details=())
        return Explanation(tree=tree, policy_version=policy.version)


def _word(outcome: TableOutcome) -> str:
    match outcome:
        case TableDecision():
            return "select"
        case TableDescribed():
            return "describe"
        case TableHidden():
            return "not found"
