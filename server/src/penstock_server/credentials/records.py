"""Audit records of the credential doors: the attempt before AWS is called, the outcome before anything is answered."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_server.errors import Disagreement, PenstockError, Unavailable
from penstock_server.model.audit import AuditRecord, Event, Outcome
from penstock_server.model.clock import Clock
from penstock_server.model.decision import PolicyVersion
from penstock_server.model.ports import AuditSink
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestContext
from penstock_server.model.resource import Door

MAX_RECORDED_RESOURCES = 20
MAX_RECORDED_CHARS = 1_200
"""A refused request may hold anything of any size; this much of it is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asked what; `resources` and `purpose` are the caller's text, not validated yet."""

    principal: Principal
    context: RequestContext
    door: Door
    resources: tuple[str, ...]
    purpose: str


class DoorRecords:
    """Writes records; every method raises Unavailable (`AUDIT_UNAVAILABLE`) where the record is not durable."""

    def __init__(self, audit: AuditSink, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock

    async def requested(self, asked: Asked, version: PolicyVersion, details: tuple[tuple[str, str], ...]) -> None:
        """Record that AWS is about to be asked."""
        await self._write(
            asked, Event.CREDENTIALS_REQUESTED, Outcome.ALLOWED, version=version, reason="", details=details
        )

    async def issued(self, asked: Asked, version: PolicyVersion, details: tuple[tuple[str, str], ...]) -> None:
        """Record that a credential exists and is about to be answered."""
        await self._write(asked, Event.CREDENTIALS_ISSUED, Outcome.ALLOWED, version=version, reason="", details=details)

    async def not_issued(self, asked: Asked, version: PolicyVersion | None, error: Exception) -> None:
        """Record a request that ended before AWS was asked: refused, or failed for want or fault of a part of ours."""
        failed = isinstance(error, Unavailable | Disagreement) or not isinstance(error, PenstockError)
        await self._write(
            asked,
            Event.CREDENTIALS_FAILED if failed else Event.CREDENTIALS_REFUSED,
            Outcome.FAILED if failed else Outcome.REFUSED,
            version=version,
            reason=describe_failure(error),
            details=error.evidence if isinstance(error, Disagreement) else (),
        )

    async def failed(
        self, asked: Asked, version: PolicyVersion, reason: str, details: tuple[tuple[str, str], ...]
    ) -> None:
        """Record an attempt that gave the caller nothing."""
        await self._write(
            asked, Event.CREDENTIALS_FAILED, Outcome.FAILED, version=version, reason=reason, details=details
        )

    async def _write(
        self,
        asked: Asked,
        event: Event,
        outcome: Outcome,
        *,
        version: PolicyVersion | None,
        reason: str,
        details: tuple[tuple[str, str], ...],
    ) -> None:
        await self._audit.record(
            AuditRecord(
                event=event,
                outcome=outcome,
                occurred_at=self._clock.now(),
                request_id=asked.context.request_id,
                issuer=asked.principal.issuer,
                subject=asked.principal.subject,
                username=asked.principal.username or "",
                resources=tuple(_cut(resource) for resource in asked.resources[:MAX_RECORDED_RESOURCES]),
                policy_version=version,
                reason=reason,
                details=(("door", asked.door.value), ("purpose", _cut(asked.purpose)), *details),
            )
        )


def describe_failure(error: BaseException) -> str:
    """Give what the audit says of an error: the reason and, for an operator, the detail."""
    if isinstance(error, PenstockError):
        return f"{error.reason.value}: {error.detail or error.message}"
    return type(error).__name__


def _cut(text: str) -> str:
    # A lone surrogate can't be written as UTF-8; the request that holds one is refused all the same.
    return text[:MAX_RECORDED_CHARS].encode(errors="replace").decode()
