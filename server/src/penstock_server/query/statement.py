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
from penstock_server.query.ending import EndCause, ended
from penstock_server.query.reading import Reading
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
        self.arrived_at = clock.now()
        self.began = False
        self.reading: Reading | None = None
        self._running: StatementSession | None = None
        self._finishing = False
        self._task: asyncio.Task[None] | None = None
        self._ended: EndCause | None = None

    @property
    def owner(self) -> tuple[str, str]:
        """The identity whose turn in the queue it takes."""
        return self.principal.issuer, self.principal.subject

    @property
    def answering(self) -> bool:
        """Whether it has been admitted and is not over."""
        return self._running is not None

    def end(self, cause: EndCause) -> bool:
        """End the block of `failures_recorded` with the error for this cause; False where it ends already."""
        if self._task is None or self._ended is not None:
            return False
        self._ended = cause
        self._task.cancel()
        return True

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
        """Record what ends the block early, whoever ended it, before it goes on to the caller.

        Raises:
            AccessDenied: `STATEMENT_ENDED`, by `end`.
        """
        self._task = asyncio.current_task()
        try:
            yield
        except PenstockError as error:
            self._task = None  # it ends by itself: nobody may cancel the record of it
            await self._audit.record(self._failure(error))
            raise
        except asyncio.CancelledError:
            task, self._task = self._task, None
            if task is not None and self._ended is not None:
                told = ended(self._ended)
                if not self._finishing:
                    await asyncio.shield(self._audit.record(self._failure(told)))
                # SECURITY: else the cancellation would go on to the caller as one of their own.
                if task.uncancel() == 0:
                    raise told from None
                raise
            # The client went away. Nobody waits for an answer, but the record is written all the same, unless the one
            # of the whole answer is being written already: a statement ends once.
            if not self._finishing:
                await asyncio.shield(self._audit.record(self._failure(None)))
            raise
        except Exception:
            self._task = None
            await self._audit.record(self._failure(PenstockError(Reason.INTERNAL, "an unforeseen error")))
            raise
        finally:
            self._task = None

    def _failure(self, error: PenstockError | None) -> AuditRecord:
        if self._running is None:
            return self.records.refused(error)
        return self.records.broken_off(error, self.counts, self.watch.used)
