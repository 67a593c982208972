"""Issue against revoke: STS is held back at either end of its call, and something is revoked meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from penstock_server.credentials.names import stable_name
from penstock_server.credentials.rechecks import LeaseRechecks
from penstock_server.credentials.requests import IssuedAwsCredentials
from penstock_server.errors import Reason, Unavailable
from penstock_server.model.audit import Event
from penstock_server.model.lease import LeaseId, LeaseStatus, RevocationKind
from penstock_server.model.principal import Principal
from penstock_server.policy.bound import BoundPolicy
from support.credentials import (
    ROLE_ARN,
    CallRecorder,
    Doors,
    at,
    aws_request,
    bound_policy,
    cluster,
    doors,
    login_request,
    principal,
    table,
)
from support.tokens import SteppedClock, request_context

B = "arn:aws:s3:::acme-lake"
ALICE = principal("alice", "analysts")
BOB = principal("bob", "analysts")
CONTEXT = request_context()
POLICY = """
grants:
  - {name: lake-files, principals: ["group:analysts"], resource: "arn:aws:s3:::acme-lake/*", permissions: [READ, LIST]}
  - {name: bi, principals: ["group:analysts"], resource: "redshift:analytics", permissions: [CONNECT],
      database_groups: [bi]}
"""
SECONDS = 20


class HeldRecorder(CallRecorder):
    """Holds each AssumeRole back: before it leaves us, or after AWS has made the session."""

    def __init__(self, *, before: bool) -> None:
        super().__init__()
        self.reached, self.go = threading.Event(), threading.Event()
        self._hook = "before-call.sts.AssumeRole" if before else "after-call.sts.AssumeRole"

    def session(self, access_key_id: str = "ASIATEST") -> boto3.session.Session:
        """A session whose calls are held back."""
        session = super().session(access_key_id)
        session.events.register(self._hook, self._hold)
        return session

    def _hold(self, **_: Any) -> None:
        self.reached.set()
        assert self.go.wait(SECONDS)


@dataclass(slots=True)
class Decides:
    """The policy that decides now."""

    policy: BoundPolicy

    def __call__(self) -> BoundPolicy:
        return self.policy


@dataclass(slots=True, kw_only=True)
class Stand:
    """Doors whose STS is held back, and the policy that they ask."""

    doors: Doors
    recorder: HeldRecorder
    decides: Decides

    async def issue_while(self, meanwhile: Callable[[], Awaitable[Any]]) -> IssuedAwsCredentials:
        """Issue to Alice, and do something while the call is held back."""
        request = aws_request(f"{B}/finance/*")
        task = asyncio.create_task(self.doors.aws.issue(ALICE, request, CONTEXT))
        assert await asyncio.to_thread(self.recorder.reached.wait, SECONDS)
        try:
            await meanwhile()
        finally:
            self.recorder.go.set()
        return await task

    async def lease(self) -> LeaseId:
        """The one lease of Alice."""
        (found,) = await self.doors.state.leases.of(ALICE, after="", limit=9)
        return found.id

    async def revoke_person(self, who: Principal) -> None:
        """Revoke all that somebody holds."""
        await self.doors.state.revocations.revoke_person(
            issuer=who.issuer, subject=who.subject, source_identity=stable_name(who), cause="by a test", recorded=True
        )


@pytest.fixture
def policy(tmp_path: Path) -> BoundPolicy:
    return bound_policy(tmp_path / "policy", POLICY, table("hr.people", at("curated/hr/people")), logins=["analytics"])


@pytest.fixture(params=[True, False], ids=["held before AWS is asked", "held after AWS has answered"])
def stand(request: pytest.FixtureRequest, tmp_path: Path, policy: BoundPolicy, aws_url: str) -> Iterator[Stand]:
    recorder, decides = HeldRecorder(before=request.param), Decides(policy)
    clock = SteppedClock(instant=datetime.now(UTC))
    with doors(
        tmp_path,
        policy,
        endpoint_url=aws_url,
        clock=clock,
        policies=decides,
        recorder=recorder,
        clusters=[cluster()],
    ) as opened:
        yield Stand(doors=opened, recorder=recorder, decides=decides)
        recorder.go.set()


async def assert_withdrawn(stand: Stand, meanwhile: Callable[[], Awaitable[Any]]) -> None:
    """Nothing is answered, the lease is revoked and its id is in the document, and the audit says why."""
    with pytest.raises(Unavailable) as failed:
        await stand.issue_while(meanwhile)
    assert failed.value.reason is Reason.CREDENTIAL_WITHDRAWN
    (lease,) = await stand.doors.state.leases.of(ALICE, after="", limit=9)
    assert lease.status is LeaseStatus.REVOKED
    _, entries = await stand.doors.state.revocations.entries()
    assert (RevocationKind.LEASE, lease.id) in {(entry.kind, entry.target) for entry in entries}
    assert stand.doors.audit.events() == (Event.CREDENTIALS_REQUESTED, Event.CREDENTIALS_FAILED)
    assert stand.doors.audit.records[-1].reason.startswith("CREDENTIAL_WITHDRAWN")


async def test_a_person_who_is_revoked_meanwhile_is_answered_nothing(stand: Stand) -> None:
    await assert_withdrawn(stand, lambda: stand.revoke_person(ALICE))


async def test_a_role_that_is_revoked_meanwhile_answers_nothing(stand: Stand) -> None:
    async def revoke() -> None:
        await stand.doors.state.revocations.revoke_role(ROLE_ARN, cause="by a test", recorded=True)

    await assert_withdrawn(stand, revoke)


async def test_a_lease_that_is_revoked_meanwhile_is_not_answered(stand: Stand) -> None:
    async def revoke() -> None:
        await stand.doors.state.revocations.revoke_lease(await stand.lease(), cause="by a test", recorded=True)

    await assert_withdrawn(stand, revoke)


async def test_what_a_policy_decided_that_no_longer_decides_is_not_answered(stand: Stand, tmp_path: Path) -> None:
    async def reload() -> None:
        stand.decides.policy = bound_policy(
            tmp_path / "other", POLICY.replace("READ, LIST", "READ"), logins=["analytics"]
        )

    await assert_withdrawn(stand, reload)


async def test_what_was_decided_over_other_catalogs_is_not_answered(stand: Stand, policy: BoundPolicy) -> None:
    async def reload() -> None:
        tables = (*policy.snapshot.tables, table("hr.pay", at("finance/pay")))
        stand.decides.policy = replace(policy, snapshot=replace(policy.snapshot, tables=tables))

    await assert_withdrawn(stand, reload)


async def test_the_re_check_of_a_policy_that_came_and_went_is_kept(stand: Stand, tmp_path: Path) -> None:
    before = stand.decides.policy

    async def there_and_back() -> None:
        stand.decides.policy = bound_policy(
            tmp_path / "none", POLICY.replace("acme-lake", "acme-sea"), logins=["analytics"]
        )
        assert await rechecks(stand).turn() == 1
        stand.decides.policy = before

    await assert_withdrawn(stand, there_and_back)


async def test_what_happens_to_somebody_else_meanwhile_stops_nobody(stand: Stand, policy: BoundPolicy) -> None:
    async def others() -> None:
        await stand.revoke_person(BOB)
        await stand.doors.state.revocations.revoke_role(f"{ROLE_ARN}-other", cause="by a test", recorded=True)
        stand.decides.policy = replace(policy)  # the same policy, bound again

    issued = await stand.issue_while(others)
    (lease,) = await stand.doors.state.leases.of(ALICE, after="", limit=9)
    assert (lease.id, lease.status) == (issued.lease_id, LeaseStatus.ISSUED)
    assert lease.issued_at is not None


async def test_who_is_revoked_after_the_answer_has_a_session_that_the_document_means(stand: Stand) -> None:
    async def nothing() -> None:
        return None

    await stand.issue_while(nothing)
    await stand.revoke_person(ALICE)
    (lease,) = await stand.doors.state.leases.of(ALICE, after="", limit=9)
    assert lease.status is LeaseStatus.REVOKED
    (entry,) = (await stand.doors.state.revocations.entries())[1]
    assert entry.kind is RevocationKind.PERSON
    assert lease.issued_at is not None
    assert entry.until >= lease.issued_at


def rechecks(stand: Stand) -> LeaseRechecks:
    return LeaseRechecks(
        policies=stand.decides,
        leases=stand.doors.state.leases,
        revocations=stand.doors.state.revocations,
        aws=stand.doors.aws,
        redshift=stand.doors.redshift,
    )


@pytest.fixture
def bench(tmp_path: Path, policy: BoundPolicy, aws_url: str) -> Iterator[Stand]:
    recorder, decides = HeldRecorder(before=True), Decides(policy)
    recorder.go.set()
    clock = SteppedClock(instant=datetime.now(UTC))
    with doors(
        tmp_path,
        policy,
        endpoint_url=aws_url,
        clock=clock,
        policies=decides,
        recorder=recorder,
        clusters=[cluster()],
    ) as opened:
        yield Stand(doors=opened, recorder=recorder, decides=decides)


CHANGES = {
    "the grant is gone": POLICY.replace("acme-lake", "acme-sea"),
    "a permission is gone": POLICY.replace("READ, LIST", "READ"),
    "the group is gone": POLICY.replace('["group:analysts"], resource: "arn', '["group:others"], resource: "arn'),
    "the grant lives shorter": POLICY.replace("permissions: [READ, LIST]", "permissions: [READ, LIST], max_ttl: 15m"),
    "a denial came": POLICY
    + """
denials:
  - {resource: "arn:aws:s3:::acme-lake/finance/*", permissions: [READ]}
""",
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_lease_that_would_not_be_given_any_more_is_revoked(
    bench: Stand, tmp_path: Path, policy: BoundPolicy, change: str
) -> None:
    issued = await bench.doors.aws.issue(ALICE, aws_request(f"{B}/finance/*"), CONTEXT)
    looking = rechecks(bench)
    assert await looking.turn() == 0
    bench.decides.policy = bound_policy(
        tmp_path / "changed", CHANGES[change], *policy.snapshot.tables, logins=["analytics"]
    )
    assert await looking.turn() == 1
    found = await bench.doors.state.leases.find(issued.lease_id)
    assert found is not None
    assert found.status is LeaseStatus.REVOKED
    assert await looking.turn() == 0


async def test_a_lease_that_overlaps_a_location_that_is_closed_now_is_revoked(
    bench: Stand, tmp_path: Path, policy: BoundPolicy
) -> None:
    over = await bench.doors.aws.issue(ALICE, aws_request(f"{B}/finance/*"), CONTEXT)
    beside = await bench.doors.aws.issue(ALICE, aws_request(f"{B}/other/*"), CONTEXT)
    looking = rechecks(bench)
    assert await looking.turn() == 0
    tables = (*policy.snapshot.tables, table("hr.pay", at("finance/pay")))
    bench.decides.policy = bound_policy(tmp_path / "closed", POLICY, *tables, logins=["analytics"])
    assert await looking.turn() == 1
    statuses = {lease.id: lease.status for lease in await bench.doors.state.leases.of(ALICE, after="", limit=9)}
    assert statuses == {over.lease_id: LeaseStatus.REVOKED, beside.lease_id: LeaseStatus.ISSUED}


async def test_a_lease_whose_grounds_cannot_be_read_is_revoked(bench: Stand) -> None:
    await bench.doors.aws.issue(ALICE, aws_request(f"{B}/finance/*"), CONTEXT)
    bench.doors.state.database.run_now(
        lambda connection: connection.exec_driver_sql("update leases set grounds = '{}'")
    )
    assert await rechecks(bench).turn() == 1


async def test_a_wider_policy_revokes_nothing(bench: Stand, tmp_path: Path, policy: BoundPolicy) -> None:
    await bench.doors.aws.issue(ALICE, aws_request(f"{B}/finance/*"), CONTEXT)
    await bench.doors.redshift.issue(ALICE, login_request(), CONTEXT)
    looking = rechecks(bench)
    assert await looking.turn() == 0
    wider = POLICY.replace("READ, LIST", "READ, LIST, WRITE")
    bench.decides.policy = bound_policy(tmp_path / "wider", wider, *policy.snapshot.tables, logins=["analytics"])
    assert await looking.turn() == 0


async def test_a_login_whose_group_is_gone_is_revoked(bench: Stand, tmp_path: Path, policy: BoundPolicy) -> None:
    issued = await bench.doors.redshift.issue(ALICE, login_request(), CONTEXT)
    looking = rechecks(bench)
    assert await looking.turn() == 0
    changed = POLICY.replace("database_groups: [bi]", "database_groups: [other]")
    bench.decides.policy = bound_policy(tmp_path / "changed", changed, *policy.snapshot.tables, logins=["analytics"])
    assert await looking.turn() == 1
    found = await bench.doors.state.leases.find(issued.lease_id)
    assert found is not None
    assert found.status is LeaseStatus.REVOKED
