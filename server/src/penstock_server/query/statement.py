"""One statement on its way through the door, and how it ends in the audit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from penstock_server.engines.base import ResultCounts, StatementLimits, StatementSession
from penstock_server.errors import PenstockError, Reason
from penstock_server.model.audit import AuditRecord, Event
from penstock_server.model.clock import Clock
from penstock_server.model.ports import AuditSink
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestContext
from penstock_server.query.records import Details, StatementRecords
from penstock_server.query.requests import QueryRequest
from penstock_server.query.stopwatch import Stopwatch

_NOTHING = ResultCounts(rows=0, batches=0, bytes=0)


class Statement:
    """A statement with its limits, its engine time and its records; lives as long as the call."""

    def __init__(
        self,
        *,
        principal: Principal,
        request: QueryRequest,
        context: RequestContext,
        limits: StatementLimits,
        audit: AuditSink,
        clock: Clock,
        about: Details = (),
    ) -> None:
        self.principal = principal
        self.request = request
        self.context = context
        self.limits = limits
        self.watch = Stopwatch(clock)
        self.records = StatementRecords(clock, principal, context, request, about=about)
        self._audit = audit
        self._running: StatementSession | None = None
        self._finishing = False

    @property
    def owner(self) -> tuple[str, str]:
        """The identity whose turn in the queue it takes."""
        return self.principal.issuer, self.principal.subject

    @property
    def counts(self) -> ResultCounts:
        """What has been delivered so far."""
        return _NOTHING if self._running is None else self._running.counts

    async def admit(self, record: AuditRecord, session: StatementSession) -> None:
        """Make the admitting record durable; from here on the statement is answered.

        Raises:
            Unavailable: it is not durable.
        """
        # A caller that goes away while the record is being written has been admitted: the record is written anyhow.
        if record.event is Event.QUERY_ADMITTED:
            self._running = session
        try:
            await self._audit.record(record)
        except PenstockError:
            self._running = None
            raise

    async def finish(self) -> None:
        """Record that the answer is complete. Raises Unavailable: then the answer must not end as complete."""
        self._finishing = True
        try:
            await self._audit.record(self.records.finished(self.counts, self.watch.used))
        except PenstockError:
            self._finishing = False
            raise
        self._running = None

    @asynccontextmanager
    async def failures_recorded(self) -> AsyncIterator[None]:
        """Record what ends the block early, whoever ended it, before it goes on to the caller."""
        try:
            yield
        except PenstockError as error:
            await self._audit.record(self._failure(error))
            raise
        except asyncio.CancelledError:
            # The client went away. Nobody waits for an answer, but the record is written all the same, unless the one
            # of the whole answer is being written already: a statement ends once.
            if not self._finishing:
                await asyncio.shield(self._audit.record(self._failure(None)))
            raise
        except Exception:
            await self._audit.record(self._failure(PenstockError(Reason.INTERNAL, "an unforeseen error")))
            raise

    def _failure(self, error: PenstockError | None) -> AuditRecord:
        if self._running is None:
            return self.records.refused(error)
        return self.records.broken_off(error, self.counts, self.watch.used)
