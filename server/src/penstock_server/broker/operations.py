"""What runs and what is kept, for administrators: listed, ended, made ahead and let go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from penstock_server.broker.callers import Caller, Roles
from penstock_server.broker.decision_records import DecisionRecords, Question
from penstock_server.broker.explained_principals import AskedPrincipal
from penstock_server.broker.pages import Page, PageRequest
from penstock_server.broker.policies import Policies
from penstock_server.broker.table_names import parse_table_name
from penstock_server.engines.duckdb.extracts.usage import KeptExtract
from penstock_server.errors import InvalidRequest, NotFound, Reason
from penstock_server.model.audit import Event
from penstock_server.model.clock import Clock
from penstock_server.model.decision import GovernedTable, TableDecision
from penstock_server.model.principal import KnownIssuers
from penstock_server.model.statement_masks import for_statement, new_salt
from penstock_server.query.ending import EndCause
from penstock_server.query.running import RunningStatement, RunningStatements

Item = TypeVar("Item", RunningStatement, KeptExtract)


class Extracts(Protocol):
    """The extracts of an engine, as far as operators see them."""

    def listed(self) -> tuple[KeptExtract, ...]:
        """Give what is kept, by id."""
        ...

    def drop_one(self, identifier: str) -> bool:
        """Let one go; False where there is none of this id."""
        ...


class Engine(Protocol):
    """Who makes and keeps extracts."""

    @property
    def extracts(self) -> Extracts:
        """What is kept."""
        ...

    async def warm(self, table: GovernedTable, *, fingerprint: str, expires_at: datetime | None) -> bool:
        """Make one; False where it cannot be kept. Raises Unavailable."""
        ...


class OperationsBroker:
    """Answers OperationsService; every call is for administrators, and recorded."""

    def __init__(
        self,
        *,
        running: RunningStatements,
        engine: Engine,
        policies: Policies,
        roles: Roles,
        issuers: KnownIssuers,
        records: DecisionRecords,
        clock: Clock,
    ) -> None:
        self._running = running
        self._engine = engine
        self._policies = policies
        self._roles = roles
        self._issuers = issuers
        self._records = records
        self._clock = clock

    async def list_queries(self, caller: Caller, page: PageRequest) -> Page[RunningStatement]:
        """Give the statements under way, by id. Raises AccessDenied (`ROLE_REQUIRED`), InvalidRequest, Unavailable."""
        question = Question(event=Event.QUERIES_LISTED, caller=caller, resources=())
        async with self._records.refusals(question):
            self._roles.require_administrator(caller.principal)
            found = _page(self._running.listed(), page)
        await self._records.allowed(question, None, details=(("queries", str(len(found.items))),))
        return found

    async def cancel_query(self, caller: Caller, query_id: str) -> None:
        """End a statement. Raises AccessDenied, NotFound, Unavailable."""
        question = Question(event=Event.QUERY_CANCELLED, caller=caller, resources=(query_id,))
        async with self._records.refusals(question):
            self._roles.require_administrator(caller.principal)
            if not self._running.end(query_id, EndCause.ADMINISTRATOR):
                raise NotFound(
                    Reason.RESOURCE_NOT_FOUND,
                    "there is no such statement under way",
                    hint="list them with `penstock-server queries list`; it may be over",
                )
        await self._records.allowed(question, None, details=())

    async def list_extracts(self, caller: Caller, page: PageRequest) -> Page[KeptExtract]:
        """Give the extracts that are kept, by id. Raises as `list_queries`."""
        question = Question(event=Event.EXTRACTS_LISTED, caller=caller, resources=())
        async with self._records.refusals(question):
            self._roles.require_administrator(caller.principal)
            found = _page(self._engine.extracts.listed(), page)
        await self._records.allowed(question, None, details=(("extracts", str(len(found.items))),))
        return found

    async def drop_extracts(self, caller: Caller, extract_id: str) -> int:
        """Let one extract go, or all without an id; gives how many. Raises AccessDenied, NotFound, Unavailable."""
        question = Question(event=Event.EXTRACTS_DROPPED, caller=caller, resources=(extract_id or "all",))
        extracts = self._engine.extracts
        async with self._records.refusals(question):
            self._roles.require_administrator(caller.principal)
            if not extract_id:
                dropped = sum(extracts.drop_one(kept.id) for kept in extracts.listed())
            elif extracts.drop_one(extract_id):
                dropped = 1
            else:
                raise NotFound(
                    Reason.RESOURCE_NOT_FOUND,
                    "there is no such extract",
                    hint="list them with `penstock-server extracts list`; it may have been let go",
                )
        await self._records.allowed(question, None, details=(("dropped", str(dropped)),))
        return dropped

    async def warm_extract(self, caller: Caller, table: str, asked: AskedPrincipal) -> bool:
        """Make the extract of a table for somebody; False where it cannot be kept.

        Raises:
            AccessDenied: the caller is no administrator (`ROLE_REQUIRED`).
            NotFound: the principal may not read such a table.
            InvalidRequest, Unavailable.
        """
        question = Question(event=Event.EXTRACT_WARMED, caller=caller, resources=(table,), about=asked.details())
        async with self._records.refusals(question):
            self._roles.require_administrator(caller.principal)
            now = self._clock.now()
            other = asked.described(self._issuers, at=now)
            policy = self._policies.current()
            facts = other.facts(now)
            outcome = policy.resolve(
                other.principal, parse_table_name("table", table), default_catalog=None, facts=facts
            )
            if not isinstance(outcome, TableDecision):
                raise NotFound(
                    Reason.TABLE_NOT_FOUND,
                    f"this principal may read no table `{table}`",
                    hint="see what they may read with `penstock-server policy show`",
                    metadata=(("table", table),),
                )
            if for_statement(outcome, new_salt()).fingerprint != outcome.fingerprint:
                raise InvalidRequest("table", "a table whose masks are not made anew for each statement")
            kept = await self._engine.warm(
                outcome.table, fingerprint=outcome.fingerprint, expires_at=outcome.expires_at
            )
        await self._records.allowed(question, policy.version, details=(("kept", str(kept).lower()),))
        return kept


def _page(items: Sequence[Item], page: PageRequest) -> Page[Item]:
    limit = page.limit()
    left = sorted((item for item in items if item.id > page.after), key=lambda item: item.id)
    shown = tuple(left[:limit])
    return Page(items=shown, end=shown[-1].id if len(left) > limit else "")
