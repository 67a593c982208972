"""Records of what the broker itself decides; the doors write their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from penstock_server.broker.callers import Caller
from penstock_server.errors import PenstockError, Reason, Unavailable
from penstock_server.model.audit import AuditRecord, Event, Outcome
from penstock_server.model.clock import Clock
from penstock_server.model.decision import PolicyVersion
from penstock_server.model.ports import AuditSink

MAX_RESOURCES = 100
MAX_RESOURCE_CHARACTERS = 1_024
"""A refused question may be of any size; this much of it is kept."""

Details = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was asked, in the caller's own words: not validated yet. `about` says of whom, where not of themselves."""

    event: Event
    caller: Caller
    resources: tuple[str, ...]
    about: Details = ()


class DecisionRecords:
    """Writes records; each method returns once its record is durable, or raises Unavailable."""

    def __init__(self, audit: AuditSink, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock

    async def allowed(self, question: Question, version: PolicyVersion | None, *, details: Details) -> None:
        """Record an answer that is about to be given."""
        await self._write(question, Outcome.ALLOWED, version, reason="", details=details)

    @asynccontextmanager
    async def refusals(self, question: Question) -> AsyncIterator[None]:
        """Record whatever error ends the block, before it goes on to the caller."""
        try:
            yield
        except PenstockError as error:
            outcome = Outcome.FAILED if isinstance(error, Unavailable) else Outcome.REFUSED
            reason = f"{error.reason.value}: {error.detail or error.message}"
            await self._write(question, outcome, None, reason=reason, details=())
            raise
        except Exception as error:
            reason = f"{Reason.INTERNAL.value}: {type(error).__qualname__}"
            await self._write(question, Outcome.FAILED, None, reason=reason, details=())
            raise

    async def _write(
        self, question: Question, outcome: Outcome, version: PolicyVersion | None, *, reason: str, details: Details
    ) -> None:
        principal, context = question.caller.principal, question.caller.context
        await self._audit.record(
            AuditRecord(
                event=question.event,
                outcome=outcome,
                occurred_at=self._clock.now(),
                request_id=context.request_id,
                issuer=principal.issuer,
                subject=principal.subject,
                username=principal.username or "",
                resources=tuple(_cut(resource) for resource in question.resources[:MAX_RESOURCES]),
                policy_version=version,
                reason=reason,
                details=(("peer", context.peer_address), *question.about, *details),
            )
        )


def _cut(text: str) -> str:
    # A lone surrogate can't be written as UTF-8; the question that holds one is refused all the same.
    return text[:MAX_RESOURCE_CHARACTERS].encode(errors="replace").decode()
