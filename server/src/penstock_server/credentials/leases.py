"""Issues one credential under one lease, in an order that survives a crash at any step.

1. The lease row stands in status ISSUING before AWS is called, so that a credential without a lease can't exist.
2. The attempt is in the audit before the call.
3. AWS is called once.
4. The lease becomes ISSUED, and the outcome is in the audit, before anything is answered. If either fails, the secret
   is dropped here and the caller gets an error; the lease stays, because the credential exists.

An idempotency key belongs to an identity. Repeating one never yields a second credential, and never the first again:
secrets are not stored.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from penstock_server.credentials.records import Asked, DoorRecords, describe_failure
from penstock_server.errors import InvalidRequest, PenstockError, Reason, Unavailable
from penstock_server.model.clock import Clock
from penstock_server.model.decision import PolicyVersion
from penstock_server.model.lease import Lease, LeaseId, LeaseStatus
from penstock_server.model.ports import LeaseStore

T = TypeVar("T")

LEASE_ID_BYTES = 16
CLOCK_TOLERANCE = timedelta(minutes=5)
"""How much longer than asked a credential may say that it lives, for clocks that differ and calls that take time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A credential that policy allows; `request_digest` is a hash of everything that was asked."""

    asked: Asked
    policy_version: PolicyVersion
    scope: str
    request_id: str | None
    request_digest: str
    lifetime: timedelta
    details: tuple[tuple[str, str], ...]


class LeasedIssue:
    """Runs attempts; `random_bytes` gives unpredictable bytes (`secrets.token_bytes`)."""

    def __init__(
        self, *, leases: LeaseStore, records: DoorRecords, clock: Clock, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._leases = leases
        self._records = records
        self._clock = clock
        self._random_bytes = random_bytes

    async def run(
        self,
        attempt: Attempt,
        call: Callable[[LeaseId], Awaitable[T]],
        describe: Callable[[T], tuple[tuple[str, str], ...]],
    ) -> tuple[LeaseId, T]:
        """Call AWS under a new lease and give its answer; `describe` tells what the audit keeps of it, no secret.

        Raises:
            InvalidRequest: the request id was used before.
            Unavailable: state, audit or AWS is not there; nothing is answered.
            LimitExceeded: AWS cannot hold the scope, or too many calls wait.
        """
        lease = self._new_lease(attempt)
        try:
            await self._begin(lease, attempt)
        except PenstockError as error:
            await self._records.not_issued(attempt.asked, attempt.policy_version, error)
            raise
        details = (("lease", lease.id), ("scope", attempt.scope), *attempt.details)
        answered = False
        try:
            await self._records.requested(attempt.asked, attempt.policy_version, details)
            answer = await call(lease.id)
            answered = True
            await self._leases.finish(lease.id, status=LeaseStatus.ISSUED)
            details = (*details, *describe(answer))
            await self._records.issued(attempt.asked, attempt.policy_version, details)
        except BaseException as error:
            await self._give_up(attempt, lease.id, details, error, answered=answered)
            raise
        return lease.id, answer

    def _new_lease(self, attempt: Attempt) -> Lease:
        now = self._clock.now()
        return Lease(
            id=LeaseId(self._random_bytes(LEASE_ID_BYTES).hex()),
            issuer=attempt.asked.principal.issuer,
            subject=attempt.asked.principal.subject,
            door=attempt.asked.door,
            scope=attempt.scope,
            status=LeaseStatus.ISSUING,
            policy_version=attempt.policy_version,
            request_id=attempt.request_id,
            request_digest=attempt.request_digest,
            created_at=now,
            # The row outlives the credential, whatever AWS's clock says.
            expires_at=now + attempt.lifetime + CLOCK_TOLERANCE,
        )

    async def _begin(self, lease: Lease, attempt: Attempt) -> None:
        if await self._leases.begin(lease):
            return
        if attempt.request_id is None:
            raise RuntimeError("a lease without a request id was refused")
        first = await self._leases.find_request(attempt.asked.principal, attempt.request_id)
        if first is not None and first.request_digest != attempt.request_digest:
            raise InvalidRequest("request_id", "was used for another request", hint="use a new UUID for each request")
        raise InvalidRequest(
            "request_id",
            "was used before, and a credential is never shown twice",
            hint="secrets are not stored; if the first answer was lost, ask again with a new UUID",
            detail="" if first is None else f"the first lease is {first.id}",
        )

    async def _give_up(
        self,
        attempt: Attempt,
        lease_id: LeaseId,
        details: tuple[tuple[str, str], ...],
        error: BaseException,
        *,
        answered: bool,
    ) -> None:
        # A call that was cut short may have made a credential all the same: its lease stays in ISSUING, which counts
        # as live. Only a call that never began, or that AWS refused, made none.
        if not answered and isinstance(error, PenstockError):
            await self._try(self._leases.finish(lease_id, status=LeaseStatus.FAILED))
        reason = describe_failure(error)
        await self._try(self._records.failed(attempt.asked, attempt.policy_version, reason, details))

    @staticmethod
    async def _try(step: Awaitable[None]) -> None:
        """Do what can be done still; the error that brought us here is the one that the caller gets."""
        try:
            await asyncio.shield(asyncio.ensure_future(step))
        except PenstockError:
            return


def digest_request(*parts: object) -> str:
    """Give a hash of everything that was asked, in hex; `parts` are texts, numbers, None, and sequences of these."""
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()


def check_expiry(expires_at: datetime, *, asked: timedelta, now: datetime, operation: str) -> None:
    """Refuse an answer that lives longer than was asked, or is over already.

    Raises:
        Unavailable: `AWS_REFUSED`; the credential is dropped.
    """
    if expires_at <= now:
        raise Unavailable(
            Reason.AWS_REFUSED,
            "AWS answered with a credential that is over already",
            retry_after_seconds=None,
            hint="tell the operator the request id; the clock of the broker may be wrong",
            detail=f"{operation}: expired at {expires_at.isoformat()}, and here it is {now.isoformat()}",
        )
    if expires_at > now + asked + CLOCK_TOLERANCE:
        raise Unavailable(
            Reason.AWS_REFUSED,
            "AWS answered with a credential that lives longer than was asked",
            retry_after_seconds=None,
            hint="tell the operator the request id",
            detail=f"{operation}: expires at {expires_at.isoformat()}, asked for {asked}",
        )
