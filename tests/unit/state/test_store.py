from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from penstock_server.config.secrets import SecretReferences
from penstock_server.credentials.names import stable_name
from penstock_server.errors import ConfigurationError, Reason, Unavailable
from penstock_server.model.decision import PolicyVersion
from penstock_server.model.lease import Begun, Generation, Lease, LeaseId, LeaseStatus
from penstock_server.model.principal import Principal
from penstock_server.model.resource import Door
from penstock_server.state.leases import CLEANED_PER_LEASE
from penstock_server.state.store import State, open_state
from support.credentials import OTHER_ISSUER, ROLE_ARN, opened_state, principal
from support.postgres_server import postgres_server
from support.shared_state import emptied, replica
from support.tokens import SteppedClock

ALICE = principal("alice")
BOB = principal("bob")


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def state(tmp_path: Path, clock: SteppedClock) -> Iterator[State]:
    with opened_state(tmp_path, clock) as opened:
        yield opened


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, server: str, tmp_path: Path, clock: SteppedClock) -> Iterator[State]:
    if request.param == "postgresql":
        emptied(server)
    with replica(server, clock) if request.param == "postgresql" else opened_state(tmp_path, clock) as opened:
        yield opened


def lease(number: int, clock: SteppedClock, *, owner: Principal = ALICE, request_id: str | None = None) -> Lease:
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
        created_at=clock.now() + timedelta(microseconds=number),
        issued_at=None,
        expires_at=clock.now() + timedelta(hours=1),
        revoked_at=None,
    )


def modes(folder: Path) -> list[int]:
    return [stat.S_IMODE(path.stat().st_mode) for path in folder.glob("state.db*")]


async def test_a_lease_comes_back_as_it_was_written(either: State, clock: SteppedClock) -> None:
    written = lease(7, clock, request_id="r")
    assert await either.leases.begin(written) is Begun.BEGUN
    assert await either.leases.find_request(ALICE, "r") == written
    assert await either.leases.of(ALICE, after="", limit=10) == (written,)


async def test_a_finished_lease_is_issued(either: State, clock: SteppedClock) -> None:
    await either.leases.begin(lease(1, clock))
    assert await either.leases.finish(LeaseId(f"{1:032x}"), issued_at=clock.now(), token_issued_at=clock.now())
    (found,) = await either.leases.of(ALICE, after="", limit=10)
    assert found.status is LeaseStatus.ISSUED


async def test_a_request_id_gives_one_lease(either: State, clock: SteppedClock) -> None:
    assert await either.leases.begin(lease(1, clock, request_id="r")) is Begun.BEGUN
    assert await either.leases.begin(lease(2, clock, request_id="r")) is Begun.REPEATED
    assert len(await either.leases.of(ALICE, after="", limit=10)) == 1


async def test_a_request_id_belongs_to_one_identity(either: State, clock: SteppedClock) -> None:
    assert await either.leases.begin(lease(1, clock, request_id="r")) is Begun.BEGUN
    assert await either.leases.find_request(BOB, "r") is None
    assert await either.leases.begin(lease(2, clock, owner=BOB, request_id="r")) is Begun.BEGUN


async def test_the_request_id_of_a_failed_attempt_is_free_again(either: State, clock: SteppedClock) -> None:
    await either.leases.begin(lease(1, clock, request_id="r"))
    await either.leases.fail(LeaseId(f"{1:032x}"))
    assert await either.leases.find_request(ALICE, "r") is None
    assert await either.leases.begin(lease(2, clock, request_id="r")) is Begun.BEGUN


async def test_two_leases_of_one_id_are_a_fault_and_not_a_repeated_request(either: State, clock: SteppedClock) -> None:
    await either.leases.begin(lease(1, clock))
    with pytest.raises(Unavailable) as refused:
        await either.leases.begin(lease(1, clock))
    assert refused.value.reason is Reason.STATE_UNAVAILABLE


async def test_an_identity_lists_its_own_live_leases_by_page(either: State, clock: SteppedClock) -> None:
    for number in range(1, 6):
        await either.leases.begin(lease(number, clock))
    await either.leases.begin(lease(6, clock, owner=BOB))
    await either.leases.begin(lease(7, clock, owner=principal("alice", issuer=OTHER_ISSUER)))
    await either.leases.fail(LeaseId(f"{3:032x}"))
    first = await either.leases.of(ALICE, after="", limit=2)
    second = await either.leases.of(ALICE, after=first[-1].id, limit=10)
    assert [int(found.id, 16) for found in (*first, *second)] == [1, 2, 4, 5]


async def test_ended_leases_leave_so_that_the_table_stays_bounded(
    state: State, clock: SteppedClock, tmp_path: Path
) -> None:
    for number in range(200):
        await state.leases.begin(lease(number, clock, owner=principal(f"p{number % 10}")))
    clock.advance(timedelta(hours=2))
    assert await state.leases.of(ALICE, after="", limit=1000) == ()
    for number in range(200, 200 + 200 // CLEANED_PER_LEASE + 1):
        await state.leases.begin(lease(number, clock))
    with sqlite3.connect(tmp_path / "state.db") as connection:
        (rows,) = connection.execute("select count(*) from leases").fetchone()
    connection.close()
    assert rows == 200 // CLEANED_PER_LEASE + 1


async def test_a_database_user_is_bound_to_one_identity_for_ever(state: State, tmp_path: Path) -> None:
    assert await state.bindings.bind(warehouse="w", database_user="pk_alice", principal=ALICE)
    assert await state.bindings.bind(warehouse="w", database_user="pk_alice", principal=ALICE)
    assert not await state.bindings.bind(warehouse="w", database_user="pk_alice", principal=BOB)
    same_name_elsewhere = principal("alice", issuer=OTHER_ISSUER)
    assert not await state.bindings.bind(warehouse="w", database_user="pk_alice", principal=same_name_elsewhere)
    assert await state.bindings.bind(warehouse="other", database_user="pk_alice", principal=BOB)
    await state.close()
    with opened_state(tmp_path, SteppedClock()) as again:
        assert not await again.bindings.bind(warehouse="w", database_user="pk_alice", principal=BOB)


async def test_a_token_floor_only_rises_and_outlives_the_process(state: State, tmp_path: Path) -> None:
    assert state.floors.floor(ALICE.issuer, ALICE.subject) is None
    await state.floors.raise_to(ALICE.issuer, ALICE.subject, 100)
    await state.floors.raise_to(ALICE.issuer, ALICE.subject, 90)
    assert state.floors.floor(ALICE.issuer, ALICE.subject) == 100
    assert state.floors.floor(BOB.issuer, BOB.subject) is None
    await state.close()
    with opened_state(tmp_path, SteppedClock()) as again:
        assert again.floors.floor(ALICE.issuer, ALICE.subject) == 100


async def test_a_lease_that_was_begun_outlives_a_crash(state: State, clock: SteppedClock, tmp_path: Path) -> None:
    await state.leases.begin(lease(1, clock))
    # A second process reads the file while the first still has it open: nothing waits in memory.
    with opened_state(tmp_path, clock) as other:
        (found,) = await other.leases.of(ALICE, after="", limit=10)
    assert found.status is LeaseStatus.ISSUING


async def test_the_file_is_readable_for_its_owner_alone(state: State, clock: SteppedClock, tmp_path: Path) -> None:
    await state.leases.begin(lease(1, clock))
    assert set(modes(tmp_path)) == {0o600}


async def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path, clock: SteppedClock) -> None:
    path = tmp_path / "state.db"
    path.touch(mode=0o644)
    path.chmod(0o644)
    with opened_state(tmp_path, clock):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_closing_twice_is_harmless_and_later_calls_are_unavailable(state: State) -> None:
    await state.close()
    await state.close()
    with pytest.raises(Unavailable) as refused:
        await state.leases.of(ALICE, after="", limit=1)
    assert refused.value.reason is Reason.STATE_UNAVAILABLE


async def test_a_locked_file_is_unavailable_and_nothing_of_the_row_is_told(
    state: State, clock: SteppedClock, tmp_path: Path
) -> None:
    await state.database.run(lambda connection: connection.exec_driver_sql("PRAGMA busy_timeout = 1"))
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(Unavailable) as refused:
            await state.leases.begin(lease(1, clock))
    finally:
        other.close()
    assert refused.value.reason is Reason.STATE_UNAVAILABLE
    assert "finance" not in refused.value.detail
    assert await state.leases.begin(lease(1, clock)) is Begun.BEGUN


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://h/db", "a reference to the URL"),
        ("sqlite+aiosqlite:///x.db", "no such database"),
        ("sqlite://", "name a file"),
        ("sqlite:///:memory:", "name a file"),
        ("sqlite:///x.db?mode=ro", "takes no host, user or options"),
        ("sqlite://host/x.db", "takes no host, user or options"),
        ("var/penstock.db", "not a URL"),
    ],
)
def test_a_url_that_this_version_cannot_serve_is_refused(url: str, why: str, clock: SteppedClock) -> None:
    with pytest.raises(ConfigurationError, match=why):
        open_state(url, clock, SecretReferences({}))


def test_a_link_in_place_of_the_file_is_refused(tmp_path: Path, clock: SteppedClock) -> None:
    (tmp_path / "elsewhere.db").touch()
    os.symlink(tmp_path / "elsewhere.db", tmp_path / "state.db")
    with pytest.raises(ConfigurationError, match="cannot be opened"), opened_state(tmp_path, clock):
        pass


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path, clock: SteppedClock) -> None:
    (tmp_path / "state.db").mkdir()
    with pytest.raises(ConfigurationError, match=r"state\.db"), opened_state(tmp_path, clock):
        pass


def test_a_file_that_is_no_database_is_refused(tmp_path: Path, clock: SteppedClock) -> None:
    (tmp_path / "state.db").write_bytes(b"certainly not a database" * 100)
    with pytest.raises(ConfigurationError, match="cannot be used"), opened_state(tmp_path, clock):
        pass


@pytest.mark.parametrize(
    "statements",
    [
        ("update penstock_schema set version = 1",),
        ("drop table penstock_schema",),
        ("delete from penstock_schema",),
    ],
)
def test_a_database_of_another_version_is_refused_and_left_alone(
    tmp_path: Path, clock: SteppedClock, statements: tuple[str, ...]
) -> None:
    with opened_state(tmp_path, clock):
        pass
    with sqlite3.connect(tmp_path / "state.db") as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    before = (tmp_path / "state.db").read_bytes()
    with pytest.raises(ConfigurationError, match="schema version"), opened_state(tmp_path, clock):
        pass
    assert (tmp_path / "state.db").read_bytes() == before


async def test_a_folder_that_is_missing_is_made(tmp_path: Path, clock: SteppedClock) -> None:
    with opened_state(tmp_path / "var" / "deep", clock) as state:
        assert await state.leases.begin(replace(lease(1, clock), scope="redshift:analytics")) is Begun.BEGUN
