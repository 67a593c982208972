"""Small leases of one role, and the revocation of their holder."""

from __future__ import annotations

from datetime import timedelta

from penstock_server.credentials.names import stable_name
from penstock_server.model.decision import PolicyVersion
from penstock_server.model.lease import Generation, Lease, LeaseId, LeaseStatus, Revoked
from penstock_server.model.principal import Principal
from penstock_server.model.resource import Door
from penstock_server.state.store import State

from support.credentials import ROLE_ARN, principal
from support.tokens import SteppedClock

ALICE = principal("alice")


def a_lease(number: int, clock: SteppedClock, owner: Principal = ALICE, *, request_id: str | None = None) -> Lease:
    return Lease(
        id=LeaseId(f"{number:032x}"),
        issuer=owner.issuer,
        subject=owner.subject,
        client_id=owner.client_id or "",
        door=Door.AWS,
        role=ROLE_ARN,
        source_identity=stable_name(owner),
        scope="READ arn:aws:s3:::acme-lake/finance/*",
        grounds="",
        status=LeaseStatus.ISSUING,
        policy_version=PolicyVersion("v1"),
        request_id=request_id,
        request_digest="digest",
        generation=Generation(0),
        created_at=clock.now(),
        issued_at=None,
        expires_at=clock.now() + timedelta(hours=1),
        revoked_at=None,
    )


async def revoke_person(state: State, owner: Principal = ALICE) -> Revoked:
    return await state.revocations.revoke_person(
        issuer=owner.issuer,
        subject=owner.subject,
        source_identity=stable_name(owner),
        cause="by a test",
        recorded=True,
    )
