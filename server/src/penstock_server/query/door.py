"""The order of the steps by which a statement is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from penstock_server.config.settings import QuerySettings
from penstock_server.engines.base import BoundStatement, QueryEngine, StatementLimits, StatementSession, TableReference
from penstock_server.errors import AccessDenied, PenstockError, QueryError, Reason
from penstock_server.model.audit import Event
from penstock_server.model.clock import Clock
from penstock_server.model.ports import AuditSink
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestContext, RequestFacts
from penstock_server.model.resource import TableName
from penstock_server.query.explanations import (
    QueryExplanation,
    UsedColumns,
    explain_statement,
    explain_statement_of_other,
)
from penstock_server.query.handoff import Handoff
from penstock_server.query.queue import AdmissionQueue
from penstock_server.query.reading import reading_of
from penstock_server.query.records import Details
from penstock_server.query.requests import (
    OtherPrincipal,
    QueryDescription,
    QueryHeader,
    QueryPart,
    QueryProgress,
    QueryRequest,
    QueryTrailer,
    validate,
)
from penstock_server.query.resolution import (
    PolicyHolder,
    PolicyInForce,
    Resolution,
    known_tables,
    resolve_references,
)
from penstock_server.query.running import RunningStatements
from penstock_server.query.statement import Statement
from penstock_server.query.stopwatch import until


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decided:
    """A statement after BIND: what it may see, and the shape of its answer."""

    policy: PolicyInForce
    facts: RequestFacts
    resolution: Resolution
    bound: BoundStatement


class QueryDoor:
    """Runs statements: queue, PARSE, DECIDE, BIND, SUPPLY, ADMITTED, RUN.

    Each statement has a task of its own that holds its slot, its process and its place in the audit; the iterator
    that the caller reads takes parts from it. So a caller who stops reading, or goes away, ends the statement.
    """

    def __init__(
        self, *, engine: QueryEngine, policies: PolicyHolder, audit: AuditSink, clock: Clock, settings: QuerySettings
    ) -> None:
        self._engine = engine
        self._policies = policies
        self._audit = audit
        self._clock = clock
        self._settings = settings
        self._queue = AdmissionQueue(
            concurrency=settings.concurrency,
            waiting=settings.waiting,
            waiting_of_one=settings.waiting_per_principal,
        )
        self.running = RunningStatements(clock)

    async def execute(
        self, principal: Principal, request: QueryRequest, context: RequestContext
    ) -> AsyncGenerator[QueryPart, None]:
        """Run one statement; yields a header, record batches, a trailer.

        The iterator must be closed by who opened it (`contextlib.aclosing`): that ends the statement.

        Raises:
            QueryError, AccessDenied, InvalidRequest, LimitExceeded, Unavailable: at any point; without a trailer an
                answer is not complete.
        """
        statement = self._statement(principal, request, context)
        handoff: Handoff[QueryPart] = Handoff(patience=self._settings.stall_timeout)
        task = asyncio.create_task(self._answer(statement, handoff), name=f"statement {context.request_id}")
        try:
            while (part := await handoff.take()) is not None:
                yield part
        finally:
            task.cancel()
            await asyncio.wait((task,))

    async def describe(self, principal: Principal, request: QueryRequest, context: RequestContext) -> QueryDescription:
        """Give the shape of a statement's answer without running it. Raises as `execute`."""
        statement = self._statement(principal, request, context)
        async with statement.failures_recorded(), self._session(statement) as session:
            decided = await self._decide(session, statement)
            if not decided.bound.schema:
                raise _no_shape()
            record = statement.records.admitted(Event.QUERY_DESCRIBED, decided.resolution, decided.bound)
            await statement.admit(record, session)
        return QueryDescription(
            schema=decided.bound.schema, applied=decided.resolution.applied, policy_version=decided.policy.version
        )

    async def explain(self, principal: Principal, request: QueryRequest, context: RequestContext) -> QueryExplanation:
        """Explain what of each table a statement would be given, and which columns it uses. Raises as `execute`."""
        statement = self._statement(principal, request, context)
        async with statement.failures_recorded(), self._session(statement) as session:
            decided = await self._decide(session, statement)
            used = decided.bound.used_columns
            tree = explain_statement(decided.policy, principal, decided.resolution.decisions, used, facts=decided.facts)
            record = statement.records.admitted(Event.ACCESS_EXPLAINED, decided.resolution, decided.bound)
            await statement.admit(record, session)
        return QueryExplanation(tree=tree, used_columns=used, policy_version=decided.policy.version)

    async def explain_of_other(
        self, principal: Principal, request: QueryRequest, context: RequestContext, other: OtherPrincipal
    ) -> QueryExplanation:
        """Explain to an administrator what a statement would meet if somebody else ran it.

        SECURITY: who calls has seen to it that `principal` is an administrator.

        Raises:
            NotFound, QueryError, InvalidRequest, LimitExceeded, Unavailable: the statement cannot be parsed, or names a
                table that is in no catalog.
        """
        statement = self._statement(principal, request, context, about=other.details())
        async with statement.failures_recorded(), self._session(statement) as session:
            with statement.watch.running():
                references = await session.parse(request.sql)
            policy = self._policies.current()
            statement.records.decided(policy.version)
            facts = other.facts(self._clock.now())
            refusal: PenstockError | None = None
            used: UsedColumns = ()
            try:
                decided = await self._bind(
                    session, statement, references, policy=policy, principal=other.principal, facts=facts
                )
                used = decided.bound.used_columns
            except (QueryError, AccessDenied) as error:
                refusal = error
            tree = explain_statement_of_other(policy, other, references, refusal, catalog=request.catalog, facts=facts)
            tables = tuple(".".join(reference.parts) for reference in references)
            await statement.admit(statement.records.explained(tables), session)
        return QueryExplanation(tree=tree, used_columns=used, policy_version=policy.version)

    def _statement(
        self, principal: Principal, request: QueryRequest, context: RequestContext, *, about: Details = ()
    ) -> Statement:
        longest = self._settings.timeout
        limits = StatementLimits(
            timeout=longest if request.timeout is None else min(request.timeout, longest),
            stall_timeout=self._settings.stall_timeout,
            memory_bytes=self._settings.memory_bytes,
            max_rows=self._settings.max_rows,
        )
        return Statement(
            principal=principal,
            request=request,
            context=context,
            limits=limits,
            audit=self._audit,
            clock=self._clock,
            about=about,
        )

    @asynccontextmanager
    async def _session(self, statement: Statement) -> AsyncIterator[StatementSession]:
        """Validate, wait for a turn, take a sealed process; the process is gone before the turn is passed on."""
        validate(statement.request, longest=self._settings.timeout)
        with self.running.holding(statement):
            async with self._queue.slot(statement.owner), self._engine.session(statement.limits) as session:
                statement.began = True
                yield session

    async def _answer(self, statement: Statement, handoff: Handoff[QueryPart]) -> None:
        """Take a statement through all steps; what ends it reaches the reader through the handoff."""
        error: BaseException | None = None
        try:
            async with statement.failures_recorded(), self._session(statement) as session:
                decided = await self._decide(session, statement)
                async with until(decided.resolution.expires_at, self._clock):
                    await self._run(session, statement, decided, handoff)
        except Exception as caught:  # noqa: BLE001 - raised again where the reader stands
            error = caught
        handoff.close(error)

    async def _decide(self, session: StatementSession, statement: Statement) -> _Decided:
        """PARSE, DECIDE, BIND."""
        request = statement.request
        with statement.watch.running():
            references = await session.parse(request.sql)
        policy = self._policies.current()
        statement.records.decided(policy.version)
        facts = statement.context.facts(at=self._clock.now())
        return await self._bind(
            session, statement, references, policy=policy, principal=statement.principal, facts=facts
        )

    async def _bind(
        self,
        session: StatementSession,
        statement: Statement,
        references: Sequence[TableReference],
        *,
        policy: PolicyInForce,
        principal: Principal,
        facts: RequestFacts,
    ) -> _Decided:
        """DECIDE for a principal, and BIND to what they may see."""
        request = statement.request
        resolution = resolve_references(policy, principal, references, catalog=request.catalog, facts=facts)
        visible = known_tables(policy, principal, facts=facts) if session.lists_tables else ()
        with statement.watch.running():
            bound = await session.bind(
                resolution.references,
                request.parameters,
                names=request.parameter_names,
                visible=visible,
                catalog=request.catalog,
            )
        if principal is statement.principal:
            statement.reading = reading_of(policy, bound, lists_tables=session.lists_tables)
        return _Decided(policy=policy, facts=facts, resolution=resolution, bound=bound)

    async def _run(
        self, session: StatementSession, statement: Statement, decided: _Decided, handoff: Handoff[QueryPart]
    ) -> None:
        """SUPPLY, ADMITTED, RUN."""
        with statement.watch.running():
            await session.supply(building=_telling(handoff) if statement.request.progress else None)
        record = statement.records.admitted(Event.QUERY_ADMITTED, decided.resolution, decided.bound)
        await statement.admit(record, session)
        with statement.watch.running():
            schema = await session.schema()
        # INVARIANT: nothing has been handed out before this line, but names of tables that the caller may read.
        await handoff.put(
            QueryHeader(
                schema=schema,
                applied=decided.resolution.applied,
                policy_version=decided.policy.version,
                query_id=statement.context.request_id,
            )
        )
        batches = session.run()
        try:
            while (batch := await self._next(batches, statement)) is not None:
                await handoff.put(batch)
        finally:
            if isinstance(batches, AsyncGenerator):
                await batches.aclose()
        await handoff.drained()
        counts = statement.counts
        await statement.finish()
        await handoff.put(
            QueryTrailer(row_count=counts.rows, batch_count=counts.batches, engine_time=statement.watch.used)
        )

    async def _next(self, batches: AsyncIterator[bytes], statement: Statement) -> bytes | None:
        with statement.watch.running():
            return await anext(batches, None)


def _telling(handoff: Handoff[QueryPart]) -> Callable[[TableName], None]:
    return lambda table: handoff.offer(QueryProgress(table=table))


def _no_shape() -> QueryError:
    return QueryError(
        Reason.SQL_BINDING,
        "the columns of a PIVOT that finds its values are known only once it runs",
        hint="run it, or name the values: `on column in (...)`",
    )
