"""The boundary policy at a stand-in for IAM: written, read back and compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from penstock_server.aws.boundary import BoundaryPolicy, BoundaryState
from penstock_server.aws.clients import AwsClients
from penstock_server.credentials.names import stable_name
from penstock_server.credentials.requests import NOT_REVOCABLE
from penstock_server.credentials.revocation_document import revocation_document
from penstock_server.credentials.revocation_writing import REVOCABLE, VERIFIED_EVERY, RevocationWriting
from penstock_server.errors import Disagreement
from penstock_server.model.secret import Secret
from penstock_server.state.store import State
from support.credentials import REGION, CallRecorder, opened_state, principal
from support.revocation import REVOKER, Account, account, boundary, writing
from support.tokens import SteppedClock

ALICE = principal("alice")


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(instant=datetime.now(UTC))


@pytest.fixture
def state(tmp_path: Path, clock: SteppedClock) -> Iterator[State]:
    with opened_state(tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def at(aws_url: str) -> Iterator[Account]:
    with account(aws_url) as found:
        yield found


@pytest.fixture
def policy(at: Account, clock: SteppedClock) -> Iterator[BoundaryPolicy]:
    with boundary(at, clock) as found:
        yield found


async def revoke(state: State, name: str = "alice") -> None:
    who = principal(name)
    await state.revocations.revoke_person(
        issuer=who.issuer, subject=who.subject, source_identity=stable_name(who), cause="by a test", recorded=True
    )


async def turn(state: State, writer: RevocationWriting) -> bool:
    return await writer.turn(*await state.revocations.entries())


async def test_what_is_revoked_is_written_and_is_what_aws_holds(
    state: State, at: Account, policy: BoundaryPolicy, clock: SteppedClock
) -> None:
    writer = writing(state, policy, clock, roles=[])
    await revoke(state)
    assert await turn(state, writer)
    _, entries = await state.revocations.entries()
    assert at.document() == json.loads(revocation_document(entries).text)
    assert stable_name(ALICE) in json.dumps(at.document())
    assert writer.generation == 1


async def test_nothing_is_written_where_nothing_changed(
    state: State, at: Account, policy: BoundaryPolicy, clock: SteppedClock
) -> None:
    writer = writing(state, policy, clock, roles=[])
    await revoke(state)
    assert await turn(state, writer)
    versions = at.versions()
    assert not await turn(state, writer)
    assert not await turn(state, writing(state, policy, clock, roles=[], holder="after a restart"))
    assert at.versions() == versions


async def test_a_policy_that_has_five_versions_loses_the_oldest_ones_and_never_the_one_that_holds(
    state: State, at: Account, policy: BoundaryPolicy, clock: SteppedClock
) -> None:
    writer = writing(state, policy, clock, roles=[])
    for number in range(8):
        await revoke(state, f"person-{number}")
        assert await turn(state, writer)
        clock.advance(timedelta(seconds=1))
    assert len(at.versions()) == 5
    assert at.iam.get_policy(PolicyArn=at.policy)["Policy"]["DefaultVersionId"] == "v9"
    assert all(stable_name(principal(f"person-{number}")) in json.dumps(at.document()) for number in range(8))


async def test_what_somebody_else_wrote_is_undone(
    state: State, at: Account, policy: BoundaryPolicy, clock: SteppedClock
) -> None:
    writer = writing(state, policy, clock, roles=[])
    await revoke(state)
    assert await turn(state, writer)
    at.iam.create_policy_version(PolicyArn=at.policy, PolicyDocument=revocation_document(()).text, SetAsDefault=True)
    clock.advance(VERIFIED_EVERY)
    assert await turn(state, writer)
    assert stable_name(ALICE) in json.dumps(at.document())


async def test_entries_leave_the_document_when_no_session_lives_any_more(
    state: State, at: Account, policy: BoundaryPolicy, clock: SteppedClock
) -> None:
    writer = writing(state, policy, clock, roles=[])
    await revoke(state)
    await turn(state, writer)
    clock.advance(timedelta(hours=2))
    assert await turn(state, writer)
    assert at.document() == json.loads(revocation_document(()).text)


async def test_one_process_writes_and_the_other_waits_until_it_did(
    state: State, at: Account, policy: BoundaryPolicy, clock: SteppedClock
) -> None:
    one = writing(state, policy, clock, roles=[], holder="one")
    two = writing(state, policy, clock, roles=[], holder="two")
    await revoke(state)
    assert await turn(state, one)
    await revoke(state, "bob")
    assert not await turn(state, two)
    assert two.generation < 2
    assert await turn(state, one)
    assert not await turn(state, two)
    assert two.generation == 2


class _Deaf:
    """A policy that takes what is written and goes on to hold what it held."""

    async def read(self) -> BoundaryState:
        return BoundaryState(text=revocation_document(()).text, attachments=0)

    async def write(self, text: str) -> BoundaryState:
        assert text
        return await self.read()

    async def bounded(self, roles: object) -> frozenset[str]:
        assert roles is not None
        return frozenset({"arn:aws:iam::111122223333:role/r"})


async def test_what_is_read_back_and_differs_is_no_revocation(state: State, clock: SteppedClock) -> None:
    role = "arn:aws:iam::111122223333:role/r"
    writer = RevocationWriting(store=state.revocations, boundary=_Deaf(), roles=[role], clock=clock, holder="one")
    assert not await turn(state, writer)
    assert writer.revocable(role) == REVOCABLE
    await revoke(state)
    with pytest.raises(Disagreement):
        await turn(state, writer)
    assert writer.generation == 0
    assert writer.revocable(role) == NOT_REVOCABLE


async def test_only_sessions_of_roles_that_carry_the_boundary_are_said_to_be_revocable(
    state: State, at: Account, policy: BoundaryPolicy, clock: SteppedClock
) -> None:
    bounded, free = at.role("bounded", bounded=True), at.role("free", bounded=False)
    elsewhere = "arn:aws:iam::444455556666:role/penstock-elsewhere"
    writer = writing(state, policy, clock, roles=[bounded, free, elsewhere])
    assert [writer.revocable(role) for role in (bounded, free, elsewhere)] == [NOT_REVOCABLE] * 3
    await turn(state, writer)
    assert [writer.revocable(role) for role in (bounded, free, elsewhere)] == [REVOCABLE, NOT_REVOCABLE, NOT_REVOCABLE]


async def test_a_session_is_not_said_to_be_revocable_while_nobody_looks(
    state: State, at: Account, policy: BoundaryPolicy, clock: SteppedClock
) -> None:
    role = at.role("bounded", bounded=True)
    writer = writing(state, policy, clock, roles=[role])
    await turn(state, writer)
    clock.advance(2 * VERIFIED_EVERY + timedelta(seconds=1))
    assert writer.revocable(role) == NOT_REVOCABLE


async def test_the_revoker_is_assumed_with_its_external_id(at: Account, clock: SteppedClock) -> None:
    recorder = CallRecorder()
    clients = AwsClients(recorder.session(), endpoint_url=at.url)
    policy = BoundaryPolicy(
        clients, role=REVOKER, policy=at.policy, region=REGION, clock=clock, external_id=Secret("of-the-account")
    )
    await policy.read()
    clients.close()
    assert recorder.only("AssumeRole")["ExternalId"] == "of-the-account"


async def test_the_revoker_asks_for_what_its_policy_permits_and_for_nothing_else(
    state: State, at: Account, clock: SteppedClock
) -> None:
    recorder = CallRecorder()
    with boundary(at, clock, recorder) as policy:
        writer = writing(state, policy, clock, roles=[at.role("bounded", bounded=True)])
        await revoke(state)
        await turn(state, writer)
    # The calls of the revoker's own session do not go by this recorder; how it is assumed does.
    assert [name for name, _ in recorder.calls] == ["AssumeRole"]
    assert recorder.only("AssumeRole") == {
        "RoleArn": REVOKER,
        "RoleSessionName": "penstock-revoker",
        "DurationSeconds": 3_600,
    }
