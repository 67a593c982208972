from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from penstock_server.credentials.names import stable_name
from penstock_server.model.lease import (
    Begun,
    Generation,
    LeaseId,
    LeaseStatus,
    Revocation,
    RevocationKind,
    Revoked,
)
from penstock_server.model.principal import Principal
from penstock_server.state.leases import KEY_LIVES, MOST_A_MINUTE, MOST_OF_AN_IDENTITY
from penstock_server.state.store import State
from support.credentials import ROLE_ARN, opened_state, principal
from support.postgres_server import postgres_server
from support.shared_state import emptied, replica
from support.small_leases import a_lease, revoke_person
from support.tokens import SteppedClock

ALICE = principal("alice")
BOB = principal("bob")
OTHER_ROLE = "arn:aws:iam::111122223333:role/penstock-other"


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def state(request: pytest.FixtureRequest, server: str, tmp_path: Path, clock: SteppedClock) -> Iterator[State]:
    if request.param == "postgresql":
        emptied(server)
    with replica(server, clock) if request.param == "postgresql" else opened_state(tmp_path, clock) as opened:
        yield opened


async def issued(
    state: State, clock: SteppedClock, number: int, owner: Principal = ALICE, *, ahead: timedelta = timedelta(0)
) -> LeaseId:
    lease = a_lease(number, clock, owner)
    assert await state.leases.begin(lease) is Begun.BEGUN
    assert await finish(state, clock, lease.id, ahead=ahead)
    return lease.id


async def finish(
    state: State, clock: SteppedClock, lease: LeaseId, *, ahead: timedelta = timedelta(0), owner: Principal = ALICE
) -> bool:
    return await state.leases.finish(lease, issued_at=clock.now() + ahead, token_issued_at=owner.issued_at)


async def entries(state: State) -> dict[tuple[RevocationKind, str], Revocation]:
    _, found = await state.revocations.entries()
    return {(entry.kind, entry.target): entry for entry in found}


async def test_a_revoked_lease_is_an_entry_and_says_so(state: State, clock: SteppedClock) -> None:
    lease = await issued(state, clock, 1)
    revoked = await state.revocations.revoke_lease(lease, cause="by a test", recorded=True)
    assert revoked == Revoked(leases=1, generation=Generation(1))
    found = await state.leases.find(lease)
    assert found is not None
    assert found.status is LeaseStatus.REVOKED
    assert found.revoked_at == clock.now()
    entry = (await entries(state))[RevocationKind.LEASE, lease]
    assert (entry.role, entry.cause, entry.leases) == (ROLE_ARN, "by a test", 1)


async def test_to_revoke_a_lease_again_changes_nothing(state: State, clock: SteppedClock) -> None:
    lease = await issued(state, clock, 1)
    await state.revocations.revoke_lease(lease, cause="first", recorded=True)
    before = await state.revocations.entries()
    clock.advance(timedelta(minutes=1))
    again = await state.revocations.revoke_lease(lease, cause="second", recorded=True)
    assert again == Revoked(leases=0, generation=Generation(1))
    assert await state.revocations.entries() == before


async def test_to_revoke_an_unknown_lease_takes_nothing(state: State) -> None:
    revoked = await state.revocations.revoke_lease(LeaseId("0" * 32), cause="by a test", recorded=True)
    assert revoked == Revoked(leases=0, generation=Generation(0))
    assert await entries(state) == {}


async def test_a_person_loses_all_that_is_theirs_and_nobody_else_loses_anything(
    state: State, clock: SteppedClock
) -> None:
    first, second = await issued(state, clock, 1), await issued(state, clock, 2)
    other = await issued(state, clock, 3, BOB)
    assert (await revoke_person(state)).leases == 2
    statuses = {lease.id: lease.status for lease in await state.leases.all(after="", limit=10)}
    assert statuses == {first: LeaseStatus.REVOKED, second: LeaseStatus.REVOKED, other: LeaseStatus.ISSUED}
    assert set(await entries(state)) == {(RevocationKind.PERSON, stable_name(ALICE))}


async def test_a_role_loses_its_sessions_and_no_other_role_does(state: State, clock: SteppedClock) -> None:
    mine = await issued(state, clock, 1)
    elsewhere = replace(a_lease(2, clock), role=OTHER_ROLE)
    assert await state.leases.begin(elsewhere) is Begun.BEGUN
    assert await finish(state, clock, elsewhere.id)
    assert (await state.revocations.revoke_role(ROLE_ARN, cause="by a test", recorded=True)).leases == 1
    statuses = {lease.id: lease.status for lease in await state.leases.all(after="", limit=10)}
    assert statuses == {mine: LeaseStatus.REVOKED, elsewhere.id: LeaseStatus.ISSUED}


async def test_the_time_of_a_person_is_not_before_any_of_their_sessions_by_the_clock_of_aws(
    state: State, clock: SteppedClock
) -> None:
    ahead = timedelta(seconds=90, microseconds=1)
    await issued(state, clock, 1, ahead=ahead)
    await revoke_person(state)
    entry = (await entries(state))[RevocationKind.PERSON, stable_name(ALICE)]
    assert entry.until == clock.now() + timedelta(seconds=91)


async def test_what_is_issuing_when_a_person_is_revoked_is_named_by_its_lease_too(
    state: State, clock: SteppedClock
) -> None:
    lease = a_lease(1, clock)
    await state.leases.begin(lease)
    await revoke_person(state)
    assert set(await entries(state)) == {
        (RevocationKind.PERSON, stable_name(ALICE)),
        (RevocationKind.LEASE, lease.id),
    }
    assert not await finish(state, clock, lease.id)


@pytest.mark.parametrize("what", ["lease", "person", "role"])
async def test_what_is_revoked_while_it_is_issued_is_not_finished(state: State, clock: SteppedClock, what: str) -> None:
    lease = a_lease(1, clock)
    await state.leases.begin(lease)
    if what == "lease":
        await state.revocations.revoke_lease(lease.id, cause="by a test", recorded=True)
    elif what == "person":
        await revoke_person(state)
    else:
        await state.revocations.revoke_role(ROLE_ARN, cause="by a test", recorded=True)
    assert not await finish(state, clock, lease.id)
    found = await state.leases.find(lease.id)
    assert found is not None
    assert found.status is LeaseStatus.REVOKED


async def test_a_row_that_says_issuing_again_does_not_undo_a_revocation(state: State, clock: SteppedClock) -> None:
    lease = a_lease(1, clock)
    await state.leases.begin(lease)
    await state.revocations.revoke_role(ROLE_ARN, cause="by a test", recorded=True)
    state.database.run_now(lambda connection: connection.exec_driver_sql("update leases set status = 'issuing'"))
    assert not await finish(state, clock, lease.id)


async def test_a_person_who_was_revoked_between_their_token_and_the_lease_gets_nothing(
    state: State, clock: SteppedClock
) -> None:
    token_issued_at = clock.now()
    clock.advance(timedelta(seconds=5))
    await revoke_person(state)
    lease = a_lease(1, clock)
    await state.leases.begin(lease)
    assert not await state.leases.finish(lease.id, issued_at=clock.now(), token_issued_at=token_issued_at)


async def test_a_person_with_a_later_token_is_issued_anew(state: State, clock: SteppedClock) -> None:
    await revoke_person(state)
    clock.advance(timedelta(seconds=2))
    lease = a_lease(1, clock)
    await state.leases.begin(lease)
    assert await state.leases.finish(lease.id, issued_at=clock.now(), token_issued_at=clock.now())


async def test_the_revocation_of_somebody_else_stops_nobody(state: State, clock: SteppedClock) -> None:
    lease = a_lease(1, clock)
    await state.leases.begin(lease)
    await revoke_person(state, BOB)
    assert await finish(state, clock, lease.id)


async def test_a_lease_that_a_crash_left_issuing_can_be_revoked_after_a_restart(
    tmp_path: Path, clock: SteppedClock
) -> None:
    with opened_state(tmp_path, clock) as state:
        await state.leases.begin(a_lease(1, clock))
    with opened_state(tmp_path, clock) as state:
        (found,) = await state.leases.live(after="", limit=10)
        assert found.status is LeaseStatus.ISSUING
        assert (await state.revocations.revoke_lease(found.id, cause="by a test", recorded=True)).leases == 1
    with opened_state(tmp_path, clock) as state:
        assert set(await entries(state)) == {(RevocationKind.LEASE, found.id)}


async def test_an_entry_outlives_every_session_that_it_means_and_then_leaves(state: State, clock: SteppedClock) -> None:
    lease = await issued(state, clock, 1)
    await state.revocations.revoke_lease(lease, cause="by a test", recorded=True)
    await revoke_person(state, BOB)
    clock.advance(timedelta(hours=1, seconds=1))
    assert set(await entries(state)) == {(RevocationKind.LEASE, lease), (RevocationKind.PERSON, stable_name(BOB))}
    clock.advance(timedelta(hours=1))
    assert await entries(state) == {}
    await state.leases.clean()
    assert await state.leases.all(after="", limit=10) == ()


async def test_a_second_revocation_of_a_person_only_ever_widens_the_first(state: State, clock: SteppedClock) -> None:
    await issued(state, clock, 1, ahead=timedelta(minutes=4))
    await revoke_person(state)
    first = (await entries(state))[RevocationKind.PERSON, stable_name(ALICE)]
    clock.advance(timedelta(minutes=1))
    await revoke_person(state)
    second = (await entries(state))[RevocationKind.PERSON, stable_name(ALICE)]
    assert second.until == first.until
    assert second.generation > first.generation


async def test_the_audit_has_every_revocation_once(state: State, clock: SteppedClock) -> None:
    lease = await issued(state, clock, 1)
    await state.revocations.revoke_lease(lease, cause="from the command line", recorded=False)
    (found,) = await state.revocations.unrecorded()
    await state.revocations.note_recorded(found.generation)
    assert await state.revocations.unrecorded() == ()


async def test_there_is_one_writer_until_its_time_is_over(state: State, clock: SteppedClock) -> None:
    lasts = timedelta(seconds=30)
    assert await state.revocations.claim_writer("one", lasts=lasts)
    assert await state.revocations.claim_writer("one", lasts=lasts)
    assert not await state.revocations.claim_writer("two", lasts=lasts)
    clock.advance(lasts)
    assert await state.revocations.claim_writer("two", lasts=lasts)
    await state.revocations.release_writer("two")
    assert await state.revocations.claim_writer("one", lasts=lasts)


async def test_an_idempotency_key_lives_ten_minutes(state: State, clock: SteppedClock) -> None:
    assert await state.leases.begin(a_lease(1, clock, request_id="r")) is Begun.BEGUN
    clock.advance(KEY_LIVES - timedelta(seconds=1))
    assert await state.leases.begin(a_lease(2, clock, request_id="r")) is Begun.REPEATED
    clock.advance(timedelta(seconds=1))
    assert await state.leases.begin(a_lease(3, clock, request_id="r")) is Begun.BEGUN


async def test_an_idempotency_key_belongs_to_one_client(state: State, clock: SteppedClock) -> None:
    assert await state.leases.begin(a_lease(1, clock, request_id="r")) is Begun.BEGUN
    other = replace(a_lease(2, clock, request_id="r"), client_id="another-client")
    assert await state.leases.begin(other) is Begun.BEGUN


async def test_an_identity_begins_a_bounded_number_of_leases_a_minute(state: State, clock: SteppedClock) -> None:
    for number in range(MOST_A_MINUTE):
        assert await state.leases.begin(a_lease(number, clock)) is Begun.BEGUN
    assert await state.leases.begin(a_lease(900, clock)) is Begun.TOO_FAST
    assert await state.leases.begin(a_lease(901, clock, BOB)) is Begun.BEGUN
    clock.advance(timedelta(minutes=1))
    assert await state.leases.begin(a_lease(902, clock)) is Begun.BEGUN


async def test_an_identity_holds_a_bounded_number_of_leases(
    state: State, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock_server.state.leases.MOST_OF_AN_IDENTITY", 3)
    assert MOST_OF_AN_IDENTITY <= 1_000
    for number in range(3):
        assert await state.leases.begin(a_lease(number, clock)) is Begun.BEGUN
    assert await state.leases.begin(a_lease(4, clock)) is Begun.TOO_MANY
    assert await state.leases.begin(a_lease(5, clock, BOB)) is Begun.BEGUN
