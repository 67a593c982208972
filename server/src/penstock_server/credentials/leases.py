"""Issues one credential under one lease, in an order that survives a crash at any step.

1. The lease row stands in status ISSUING before AWS is called, so that a credential without a lease can't exist.
2. The attempt is in the audit before the call.
3. AWS is called once.
4. What decided is looked at again: where the policy moved, or anything was revoked that concerns the lease, nothing is
   answered, and the lease goes to the revocation document.
5. The lease becomes ISSUED, and the outcome is in the audit, before anything is answered. If either fails, the secret
   is dropped here and the caller gets an error; the lease stays, because the credential exists.

An idempotency key belongs to an identity at one client, and lives ten minutes. Repeating one never yields a second
credential, and never the first again: secrets are not stored.
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
from penstock_server.errors import InvalidRequest, LimitExceeded, PenstockError, Reason, Unavailable
from penstock_server.model.clock import Clock
from penstock_server.model.decision import PolicyVersion
from penstock_server.model.lease import Begun, Generation, Lease, LeaseId, LeaseStatus
from penstock_server.model.ports import LeaseStore, RevocationStore
from penstock_server.policy.bound import BoundPolicy

T = TypeVar("T")

LEASE_ID_BYTES = 16
CLOCK_TOLERANCE = timedelta(minutes=5)
"""How much longer than asked a credential may say that it lives, for clocks that differ and calls that take time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A credential that policy allows; `request_digest` is a hash of everything that was asked.

    `role`, `source_identity` and `grounds` are those of the lease. `unchanged` tells whether what decided still does.
    """

    asked: Asked
    policy_version: PolicyVersion
    role: str
    source_identity: str
    scope: str
    grounds: str
    unchanged: Callable[[], bool]
    request_id: str | None
    request_digest: str
    lifetime: timedelta
    details: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What is kept of an answer of AWS: no secret. `issued_at` is when it was made, by AWS's clock."""

    issued_at: datetime
    details: tuple[tuple[str, str], ...]


class LeasedIssue:
    """Runs attempts; `random_bytes` gives unpredictable bytes (`secrets.token_bytes`)."""

    def __init__(
        self,
        *,
        leases: LeaseStore,
        revocations: RevocationStore,
        records: DoorRecords,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._leases = leases
        self._revocations = revocations
        self._records = records
        self._clock = clock
        self._random_bytes = random_bytes

    async def run(
        self,
        attempt: Attempt,
        call: Callable[[LeaseId], Awaitable[T]],
        describe: Callable[[T], Answered],
    ) -> tuple[LeaseId, T]:
        """Call AWS under a new lease and give its answer; `describe` tells what is kept of it, no secret.

        Raises:
            InvalidRequest: the request id was used before.
            Unavailable: state, audit or AWS is not there, or the credential was withdrawn; nothing is answered.
            LimitExceeded: AWS cannot hold the scope, too many calls wait, or the caller asks too often.
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
            kept = describe(answer)
            details = (*details, *kept.details)
            await self._confirm(attempt, lease.id, kept.issued_at)
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
            client_id=attempt.asked.principal.client_id or "",
            door=attempt.asked.door,
            role=attempt.role,
            source_identity=attempt.source_identity,
            scope=attempt.scope,
            grounds=attempt.grounds,
            status=LeaseStatus.ISSUING,
            policy_version=attempt.policy_version,
            request_id=attempt.request_id,
            request_digest=attempt.request_digest,
            generation=Generation(0),  # the state writes that of the moment at which the row begins
            created_at=now,
            issued_at=None,
            revoked_at=None,
            # The row outlives the credential, whatever AWS's clock says.
            expires_at=now + attempt.lifetime + CLOCK_TOLERANCE,
        )

    async def _confirm(self, attempt: Attempt, lease: LeaseId, issued_at: datetime) -> None:
        """Let the credential out, unless what it stands on moved while AWS was making it."""
        # The policy first: from here on a re-check of live leases sees this one, because its row is there.
        unchanged = attempt.unchanged()
        if unchanged and await self._leases.finish(
            lease, issued_at=issued_at, token_issued_at=attempt.asked.principal.issued_at
        ):
            return
        # SECURITY: the credential exists at AWS, and a fault of ours may have shown it to somebody.
        cause = "revoked while it was issued" if unchanged else "the policy changed while it was issued"
        await self._revocations.revoke_lease(lease, cause=cause, recorded=True)
        raise Unavailable(
            Reason.CREDENTIAL_WITHDRAWN,
            "what you may reach changed while the credential was being made, so that it was withdrawn",
            retry_after_seconds=1.0,
            hint="ask again; the answer is by what holds now",
            detail=f"{cause}: lease {lease}",
        )

    async def _begin(self, lease: Lease, attempt: Attempt) -> None:
        begun = await self._leases.begin(lease)
        if begun is Begun.BEGUN:
            return
        if begun is not Begun.REPEATED:
            raise _too_many(begun)
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
            await self._try(self._leases.fail(lease_id))
        reason = describe_failure(error)
        await self._try(self._records.failed(attempt.asked, attempt.policy_version, reason, details))

    @staticmethod
    async def _try(step: Awaitable[None]) -> None:
        """Do what can be done still; the error that brought us here is the one that the caller gets."""
        try:
            await asyncio.shield(asyncio.ensure_future(step))
        except PenstockError:
            return


def same_policy(now: BoundPolicy, decided_by: BoundPolicy) -> bool:
    """Tell whether what decides now is what decided: the same policy, bound to the same catalogs."""
    if now is decided_by:
        return True
    return now.version == decided_by.version and now.snapshot == decided_by.snapshot


def _too_many(begun: Begun) -> LimitExceeded:
    if begun is Begun.TOO_FAST:
        return LimitExceeded(
            Reason.RATE_LIMIT,
            "you ask for credentials more often than this service lets anybody",
            limit="credentials of one identity",
            value="60 a minute",
            hint="keep a credential until it ends; wait a minute",
        )
    return LimitExceeded(
        Reason.RATE_LIMIT,
        "too many credentials have not ended yet",
        limit="leases that have not ended",
        value="1000 of one identity",
        hint="wait until some have ended, and keep a credential until it ends",
    )


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
