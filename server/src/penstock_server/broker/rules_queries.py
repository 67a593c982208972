"""Asks the queries of a policy's rules datasets while it is loaded: all of them, or there is no policy."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from penstock_server.errors import ConfigurationError, LimitExceeded, PenstockError, Unavailable
from penstock_server.model.clock import Clock
from penstock_server.model.ports import RulesReader
from penstock_server.model.rules import QueriedRules
from penstock_server.model.schema import CatalogSnapshot
from penstock_server.policy.problems import Problems
from penstock_server.policy.rules.queries import Question, answered, asked_rules, question_of, with_rules
from penstock_server.policy.source import PolicySource, RowRulesSource, RulesQuery


async def answer_rules(
    source: PolicySource, snapshot: CatalogSnapshot, reader: RulesReader, clock: Clock
) -> PolicySource:
    """Give a policy with what its queries give now; the snapshot is what they and the policy are bound to.

    Raises:
        ConfigurationError: a line for each query that is not accepted, fails, or gives no rules dataset.
        Unavailable: a query could not be asked; another time it may.
    """
    problems = Problems()
    asking = RulesAsking(source, snapshot, reader, clock)
    found: list[RowRulesSource] = []
    for rules, _ in asked_rules(source):
        if rules.table is not None:
            continue
        try:
            found.append(await asking.ask(rules))
        except ConfigurationError as error:
            problems.add_error(error)
    problems.raise_if_any()
    return with_rules(source, found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What a query gave, and when it was asked."""

    asked_at: datetime
    rules: QueriedRules


class RulesAsking:
    """Asks for the datasets of one policy over one snapshot; what two of them ask is asked once."""

    def __init__(self, source: PolicySource, snapshot: CatalogSnapshot, reader: RulesReader, clock: Clock) -> None:
        self._issuers = source.issuers
        self._snapshot = snapshot
        self._reader = reader
        self._clock = clock
        self._given: dict[Question, _Given] = {}

    async def ask(self, rules: RowRulesSource) -> RowRulesSource:
        """Give a dataset with what its query gives now.

        Raises:
            ConfigurationError: each problem as `FILE:LINE: ...` of the query, without any value of a table.
            Unavailable: it could not be asked.
        """
        if rules.query is None:
            return rules
        given = await self._ask(rules.name, rules.query)
        # Off the event loop: there may be a million rows.
        return await asyncio.to_thread(answered, rules, given.rules, asked_at=given.asked_at, issuers=self._issuers)

    async def _ask(self, name: str, query: RulesQuery) -> _Given:
        question = question_of(query)
        if question not in self._given:
            # Before it is asked: what it gives was so at this instant, or later.
            asked_at = self._clock.now()
            try:
                rules = await self._reader.query_rules(query.sql, catalog=query.catalog, snapshot=self._snapshot)
            except Unavailable as error:
                raise Unavailable(
                    error.reason,
                    f"the query of the rules dataset `{name}` could not be asked",
                    retry_after_seconds=error.retry_after_seconds,
                    hint=error.hint,
                    detail=f"{query.place}: {error.message}: {error.detail}",
                ) from error
            except PenstockError as error:
                raise ConfigurationError((f"{query.place}: {_told(error)}",)) from error
            self._given[question] = _Given(asked_at=asked_at, rules=rules)
        return self._given[question]


def _told(error: PenstockError) -> str:
    limit = f" ({error.limit}: {error.value})" if isinstance(error, LimitExceeded) else ""
    return f"the rules query is refused: {error.message}{limit}; {error.hint}"
