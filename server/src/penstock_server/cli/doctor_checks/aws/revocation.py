"""The revocation drill: a canary session is revoked as any other would be, and the time until AWS denies it measured.

It writes: one revocation of a person who does not exist, which leaves the state and the document by itself after about
an hour, as every revocation does. Where the service runs, the service writes the document; the drill only waits.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from penstock_server.aws.clients import RoleSession
from penstock_server.aws.probes import Outcome, Probes
from penstock_server.cli.doctor_checks.aws.canary import ISSUER, PREFIX, Canary, reading
from penstock_server.cli.doctor_checks.finding import Finding, cannot_know, failed, ok
from penstock_server.credentials.names import stable_name_of
from penstock_server.credentials.roles import TargetRole
from penstock_server.errors import PenstockError
from penstock_server.model.clock import Clock

SUBJECT: Final = "aws revocation"
CLAIM: Final = "a session that is revoked is denied"
LONGEST: Final = timedelta(minutes=3)
LOOKS_EVERY: Final = timedelta(seconds=1)
_DRILL: Final = "see that the service runs, and that its log writes of no revocation document that cannot be written"


class Revoking(Protocol):
    """How a person is revoked."""

    async def revoke(self, issuer: str, subject: str, source_identity: str) -> None:
        """Revoke one, and see to it that the document is written. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """One drill; `subject` is of a person whom nobody else is."""

    probes: Probes
    role: TargetRole
    revoking: Revoking
    subject: str
    clock: Clock
    longest: timedelta = LONGEST
    looks_every: timedelta = LOOKS_EVERY

    async def run(self) -> Finding:
        """Make a session, revoke its person, and wait until AWS denies it."""
        name = stable_name_of(ISSUER, self.subject)
        bucket = self.role.serves[0].location.bucket
        policy = reading(bucket, PREFIX, dict(self.role.bucket_accounts).get(bucket, self.role.account))
        probed, session = await self.probes.assume(Canary(role=self.role).whole(policy, name=name))
        if session is None:
            return cannot_know(SUBJECT, CLAIM, probed.why, fix="first mend what keeps a whole session from being made")
        before = await self._list(session, bucket)
        if before is not Outcome.ANSWERED:
            fix = "see that the role's own policy reaches the bucket"
            return cannot_know(SUBJECT, CLAIM, "the session reaches nothing before it is revoked", fix=fix)
        # AWS: issue times have whole seconds, and what is of a later second than the revocation is not meant by it.
        await asyncio.sleep(1)
        began = self.clock.monotonic()
        try:
            await self.revoking.revoke(ISSUER, self.subject, name)
        except PenstockError as error:
            return cannot_know(SUBJECT, CLAIM, error.detail or error.message, fix=_DRILL)
        while self.clock.monotonic() - began < self.longest.total_seconds():
            if await self._list(session, bucket) is Outcome.DENIED:
                seconds = self.clock.monotonic() - began
                return ok(SUBJECT, CLAIM, f"after {seconds:.1f} s")
            await asyncio.sleep(self.looks_every.total_seconds())
        seconds = self.longest.total_seconds()
        return failed(SUBJECT, CLAIM, f"not within {seconds:.0f} s", fix=_DRILL)

    async def _list(self, session: RoleSession, bucket: str) -> Outcome:
        asked = {"Bucket": bucket, "Prefix": PREFIX, "MaxKeys": 1}
        return (await self.probes.ask("s3", "list_objects_v2", asked, session=session)).outcome


def not_asked() -> Finding:
    """Give the finding where no drill was asked for: it is the one that writes."""
    return cannot_know(SUBJECT, CLAIM, "it was not tried", fix="add `--drill`, which revokes a session of its own")
