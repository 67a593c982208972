"""Leases as the service sees them: listed, shown and revoked, by their holders and by administrators."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from penstock_server.broker.callers import Caller, Roles
from penstock_server.broker.decision_records import DecisionRecords, Question
from penstock_server.broker.pages import Page, PageRequest
from penstock_server.broker.revocation_keeper import RevocationKeeper
from penstock_server.broker.session_keeper import SessionKeeper
from penstock_server.broker.spark_keeper import SparkKeeper
from penstock_server.credentials.requests import NOT_REVOCABLE
from penstock_server.errors import NotFound, Reason
from penstock_server.model.audit import Event
from penstock_server.model.lease import Lease, LeaseId
from penstock_server.model.ports import LeaseStore, RevocationStore
from penstock_server.model.resource import Door

WAITS_SECONDS: Final = 5.0
"""How long an answer waits for AWS to hold what was revoked; it is revoked all the same."""

_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedLease:
    """A revoked lease, and in words what that does to its credential."""

    lease: Lease
    effect: str


class LeaseBroker:
    """Answers CredentialService about leases.

    INVARIANT: a lease of somebody else and one that never was have one answer, unless an administrator asks.
    """

    def __init__(
        self,
        *,
        leases: LeaseStore,
        revocations: RevocationStore,
        keeper: RevocationKeeper,
        roles: Roles,
        records: DecisionRecords,
        sessions: SessionKeeper,
        spark: SparkKeeper,
    ) -> None:
        self._leases = leases
        self._revocations = revocations
        self._keeper = keeper
        self._roles = roles
        self._records = records
        self._sessions = sessions
        self._spark = spark

    async def list(self, caller: Caller, page: PageRequest, *, everybody: bool) -> Page[Lease]:
        """Give the caller's leases that have not ended, by id, or those of everybody.

        Raises InvalidRequest, Unavailable, AccessDenied (`ROLE_REQUIRED`).
        """
        about = (("of", "everybody"),) if everybody else ()
        question = Question(event=Event.LEASES_LISTED, caller=caller, resources=(), about=about)
        async with self._records.refusals(question):
            if everybody:
                self._roles.require_administrator(caller.principal)
            limit = page.limit()
            if everybody:
                leases = await self._leases.all(after=page.after, limit=limit + 1)
            else:
                leases = await self._leases.of(caller.principal, after=page.after, limit=limit + 1)
        items = tuple(leases[:limit])
        await self._records.allowed(question, None, details=(("leases", str(len(items))),))
        return Page(items=items, end=items[-1].id if len(leases) > limit else "")

    async def show(self, caller: Caller, lease_id: str) -> Lease:
        """Give one lease. Raises NotFound, Unavailable."""
        question = Question(event=Event.LEASE_SHOWN, caller=caller, resources=(lease_id,))
        async with self._records.refusals(question):
            lease = await self._require(caller, lease_id)
        await self._records.allowed(question, lease.policy_version, details=_holder(lease))
        return lease

    async def revoke(self, caller: Caller, lease_id: str) -> RevokedLease:
        """Revoke one lease; one that is revoked already stays so, which is no error.

        The lease is revoked in the state first and recorded then: an audit that cannot be written must not keep a
        credential alive. Raises NotFound, Unavailable.
        """
        question = Question(event=Event.LEASES_REVOKED, caller=caller, resources=(lease_id,))
        async with self._records.refusals(question):
            lease = await self._require(caller, lease_id)
            principal = caller.principal
            cause = f"by {principal.issuer}|{principal.subject}"
            revoked = await self._revocations.revoke_lease(lease.id, cause=cause, recorded=False)
            now = await self._leases.find(lease.id) or lease
        details = (*_holder(lease), ("leases", str(revoked.leases)), ("generation", str(revoked.generation)))
        await self._records.allowed(question, lease.policy_version, details=details)
        if revoked.leases:
            await self._revocations.note_recorded(revoked.generation)
        self._keeper.wake()
        self._sessions.wake()
        self._spark.wake()
        if lease.door is Door.SPARK:
            return RevokedLease(lease=now, effect=await self._job_stops())
        if lease.door is Door.REDSHIFT:
            return RevokedLease(lease=now, effect=await self._sessions_end(lease))
        written = (
            await self._keeper.written(revoked.generation, seconds=WAITS_SECONDS) if _can_be_denied(lease) else False
        )
        return RevokedLease(lease=now, effect=self._effect(lease, written=written))

    async def _sessions_end(self, lease: Lease) -> str:
        login = lease.scope.removeprefix("redshift:")
        until = f"{lease.expires_at:%Y-%m-%dT%H:%M:%SZ}"
        if not self._sessions.covers(login):
            return f"not ended: the password may work until {until}, and sessions go on"
        if await self._sessions.ended(login, seconds=WAITS_SECONDS):
            return "ended: its sessions are closed, and none begins, unless another lease of its user lives"
        return "will be ended: the revocation is kept, and the warehouse could not be reached yet"

    async def _job_stops(self) -> str:
        if await self._spark.told(seconds=WAITS_SECONDS):
            return "stopped: the service of the job was told to end it, and is told again until it has"
        return "will be stopped: the revocation is kept, and the service of the job could not be told yet"

    async def _require(self, caller: Caller, lease_id: str) -> Lease:
        lease = await self._leases.find(LeaseId(lease_id)) if _ID.fullmatch(lease_id) else None
        mine = lease is not None and (lease.issuer, lease.subject) == (
            caller.principal.issuer,
            caller.principal.subject,
        )
        if lease is None or not (mine or self._roles.is_administrator(caller.principal)):
            raise NotFound(
                Reason.RESOURCE_NOT_FOUND,
                "there is no such lease for you",
                hint="list yours with `penstock leases`; one that has ended is gone",
                detail="it does not exist" if lease is None else "it is another's",
            )
        return lease

    def _effect(self, lease: Lease, *, written: bool) -> str:
        until = f"{lease.expires_at:%Y-%m-%dT%H:%M:%SZ}"
        revocable = self._keeper.revocable(lease.role)
        if not _can_be_denied(lease) or revocable == NOT_REVOCABLE:
            return f"not denied by AWS: the credential may work until {until}"
        if written:
            return "denied: AWS holds the revocation; it takes effect when IAM has spread it"
        return "will be denied: the revocation is kept, and is being written to AWS"


def _can_be_denied(lease: Lease) -> bool:
    return lease.door is Door.AWS and bool(lease.role)


def _holder(lease: Lease) -> tuple[tuple[str, str], ...]:
    return (("issuer", lease.issuer), ("subject", lease.subject), ("door", lease.door.value), ("scope", lease.scope))
