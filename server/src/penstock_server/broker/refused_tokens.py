"""Refused tokens in the audit: counted by rule, so that a flood of them cannot fill it."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from penstock_server.errors import PenstockError
from penstock_server.model.audit import AuditRecord, Event, Outcome
from penstock_server.model.clock import Clock
from penstock_server.model.ports import AuditSink
from penstock_server.model.request import RequestContext

log = logging.getLogger(__name__)

PAUSE = timedelta(seconds=1)
MAX_RULES = 64
_OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Last:
    request_id: str
    peer_address: str


class RefusedTokens:
    """Writes at most one record a second for each rule, with how many it stands for and the last of them.

    Nobody waits for these records: a refused caller is nobody yet, and is told nothing but no.
    """

    def __init__(self, audit: AuditSink, clock: Clock, *, pause: timedelta = PAUSE) -> None:
        self._audit = audit
        self._clock = clock
        self._pause = pause
        self._counts: Counter[str] = Counter()
        self._last: dict[str, _Last] = {}
        self._noted = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write."""
        self._writer = asyncio.create_task(self._write_for_ever(), name="refused tokens")

    async def close(self) -> None:
        """Write what is noted and stop."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait((self._writer,))
            await self._write()

    def note(self, detail: str, context: RequestContext) -> None:
        """Count one refusal; `detail` begins with the rule."""
        rule = detail if detail in self._counts or len(self._counts) < MAX_RULES else _OTHER
        self._counts[rule] += 1
        self._last[rule] = _Last(request_id=context.request_id, peer_address=context.peer_address)
        self._noted.set()

    async def _write_for_ever(self) -> None:
        while True:
            await self._noted.wait()
            await self._write()
            await asyncio.sleep(self._pause.total_seconds())

    async def _write(self) -> None:
        self._noted.clear()
        counts, self._counts = self._counts, Counter()
        last, self._last = self._last, {}
        for rule, count in counts.items():
            try:
                await self._audit.record(self._record(rule, count, last[rule]))
            except PenstockError as error:
                log.warning("refused tokens are not in the audit", extra={"detail": error.detail, "count": count})

    def _record(self, rule: str, count: int, last: _Last) -> AuditRecord:
        return AuditRecord(
            event=Event.AUTHENTICATION_REFUSED,
            outcome=Outcome.REFUSED,
            occurred_at=self._clock.now(),
            request_id=last.request_id,
            issuer="",
            subject="",
            username="",
            resources=(),
            policy_version=None,
            reason=rule,
            details=(("count", str(count)), ("last_peer", last.peer_address)),
        )
