"""Which tables the caller may know of."""

from __future__ import annotations

from penstock_server.broker.callers import Caller
from penstock_server.broker.decision_records import DecisionRecords, Question
from penstock_server.broker.pages import Page, PageRequest
from penstock_server.broker.policies import Policies
from penstock_server.broker.table_names import matches, parse_table_name, validate_pattern
from penstock_server.model.audit import Event
from penstock_server.model.clock import Clock
from penstock_server.model.decision import TableDecision, TableDescribed, TableHidden
from penstock_server.model.resource import TableName
from penstock_server.policy.evaluation import table_not_found, visible_tables

VisibleTable = TableDecision | TableDescribed


class CatalogBroker:
    """Answers CatalogService."""

    def __init__(self, *, policies: Policies, records: DecisionRecords, clock: Clock) -> None:
        self._policies = policies
        self._records = records
        self._clock = clock

    async def list_tables(self, caller: Caller, pattern: str, page: PageRequest) -> Page[VisibleTable]:
        """Give the caller's tables whose full names fit the pattern, by name.

        Raises:
            InvalidRequest, Unavailable.
        """
        question = Question(event=Event.CATALOG_LISTED, caller=caller, resources=())
        async with self._records.refusals(question):
            policy = self._policies.bound()
            validate_pattern(pattern)
            limit = page.limit()
            tables = visible_tables(policy, caller.principal, facts=caller.context.facts(at=self._clock.now()))
        named = sorted(((str(table_name(table)), table) for table in tables), key=lambda pair: pair[0])
        rest = [pair for pair in named if pair[0] > page.after and matches(pattern, pair[0])]
        items = tuple(table for _, table in rest[:limit])
        details = (("pattern", pattern), ("tables", str(len(items))))
        await self._records.allowed(question, policy.version, details=details)
        return Page(items=items, end=rest[limit - 1][0] if len(rest) > limit else "")

    async def get_table(self, caller: Caller, name: str) -> VisibleTable:
        """Give one table as the caller sees it.

        Raises:
            NotFound: there is none for this caller.
            QueryError: the name means several of the caller's tables.
            InvalidRequest, Unavailable.
        """
        question = Question(event=Event.TABLE_DESCRIBED, caller=caller, resources=(name,))
        async with self._records.refusals(question):
            policy = self._policies.current()
            parts = parse_table_name("name", name)
            facts = caller.context.facts(at=self._clock.now())
            outcome = policy.resolve(caller.principal, parts, default_catalog=None, facts=facts)
            if isinstance(outcome, TableHidden):
                raise table_not_found(parts)
        await self._records.allowed(question, policy.version, details=(("table", str(table_name(outcome))),))
        return outcome


def table_name(table: VisibleTable) -> TableName:
    """Give a table's full name."""
    match table:
        case TableDecision():
            return table.table.name
        case TableDescribed():
            return table.schema.name
