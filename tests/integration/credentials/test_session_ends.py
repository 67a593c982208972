"""Sessions end with their leases although the passwords still work: on PostgreSQL, by Redshift's own driver."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from penstock_server.config.settings import DatabaseUserStyle, ReaperSettings
from penstock_server.credentials.database_users import lease_user
from penstock_server.credentials.session_ends import Reapers, SessionReaper
from penstock_server.engines.redshift.connection import close_driver
from penstock_server.errors import AccessDenied, Unavailable
from penstock_server.model.lease import LeaseId
from penstock_server.model.warehouse import SESSION_NAME_CHARS
from penstock_server.state.store import State
from support.credentials import Doors, bound_policy, cluster, doors, login_request, principal
from support.postgres_server import connected
from support.redshift_stand_in import PREFIX, StandIn, is_open, redshift_stand_in
from support.tokens import SteppedClock, request_context

CONTEXT = request_context()
ALICE = principal("alice", "analysts")
BOB = principal("bob", "analysts")
POLICY = """
grants:
  - {name: readers, principals: ["group:analysts"], resource: "redshift:analytics",
      permissions: [CONNECT], database_groups: [bi], max_ttl: 1h}
  - {name: leased, principals: ["group:analysts"], resource: "redshift:leased",
      permissions: [CONNECT], database_groups: [bi], max_ttl: 1h}
"""
REAPER_SETTINGS = ReaperSettings(user="penstock_reaper", password="env:EXTERNAL_ID", encrypted=False)
CLUSTERS = (
    cluster(reaper=REAPER_SETTINGS),
    cluster("leased", identity=DatabaseUserStyle.LEASE, reaper=REAPER_SETTINGS),
)
NAMES = ("pk_alice", "IAM:pk_alice", "IAMA:pk_alice:bi", "IAM:pk_alice:bi")


@pytest.fixture(scope="module")
def warehouse() -> Iterator[StandIn]:
    with redshift_stand_in() as stand_in:
        yield stand_in


@pytest.fixture
def people(warehouse: StandIn) -> Iterator[StandIn]:
    names = (*NAMES, "pk_bob", "IAM:pk_bob:bi", "awsuser", "IAM:awsuser", "pk_alicia", "IAM:pk_alicia")
    warehouse.run(*(f'CREATE USER "{name}"' for name in names), 'ALTER USER "awsuser" SUPERUSER')
    yield warehouse
    left = [name for name in warehouse.users_in("") if name in names or name.startswith("pk_")]
    warehouse.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE '%pk%' OR usename LIKE '%awsuser'",
        *(f'DROP USER "{name}"' for name in left),
    )


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(instant=datetime.now(UTC))


@pytest.fixture
async def bench(tmp_path: Path, aws_url: str, clock: SteppedClock, people: StandIn) -> AsyncIterator[Doors]:
    policy = bound_policy(tmp_path / "policy", POLICY, logins=("analytics", "leased"))

    def reapers(state: State) -> Reapers:
        return {CLUSTERS[0].warehouse: made(people, state, clock)}

    with doors(tmp_path, policy, endpoint_url=aws_url, clock=clock, clusters=CLUSTERS, reapers=reapers) as opened:
        yield opened
        for reaper in opened.redshift._reapers.values():
            await reaper.close()


def made(people: StandIn, state: State, clock: SteppedClock, sessions: Any = None) -> SessionReaper:
    return SessionReaper(
        warehouse=CLUSTERS[0].warehouse,
        logins=frozenset({"analytics", "leased"}),
        prefix=PREFIX,
        sessions=sessions or people.sessions(),
        leases=state.leases,
        clock=clock,
    )


@pytest.fixture
async def reaper(bench: Doors) -> SessionReaper:
    (found,) = bench.redshift._reapers.values()
    await found.turn()
    return found


@pytest.fixture
def opened(people: StandIn) -> Iterator[Callable[[str], Any]]:
    sessions: list[Any] = []

    def log_in(name: str) -> Any:
        sessions.append(people.log_in(name))
        return sessions[-1]

    yield log_in
    for session in sessions:
        close_driver(session)


def eventually(holds: Callable[[], bool]) -> bool:
    """Wait for what happens by itself soon; a loaded machine may take long."""
    ends = time.monotonic() + 60
    while not holds():
        if time.monotonic() > ends:
            return False
        threading.Event().wait(0.02)
    return True


def grown(some: Sequence[Any], before: int) -> bool:
    """Tell whether there are more than before."""
    return len(some) > before


@pytest.mark.parametrize("name", NAMES)
async def test_a_session_goes_on_while_its_lease_lives_and_ends_on_revocation(
    bench: Doors, reaper: SessionReaper, opened: Callable[[str], Any], name: str
) -> None:
    issued = await bench.redshift.issue(ALICE, login_request(), CONTEXT)
    assert issued.revocable.startswith("yes within 5 s")
    session, other = opened(name), opened("IAM:awsuser")
    await reaper.turn()
    assert is_open(session)
    await bench.state.revocations.revoke_lease(issued.lease_id, cause="test", recorded=True)
    done = await reaper.turn()
    assert done.end == ("pk_alice",)
    assert eventually(lambda: not is_open(session))
    assert is_open(other)


async def test_a_session_ends_at_its_ttl(
    bench: Doors, reaper: SessionReaper, opened: Callable[[str], Any], clock: SteppedClock
) -> None:
    await bench.redshift.issue(ALICE, login_request(ttl=timedelta(minutes=15)), CONTEXT)
    session = opened("IAM:pk_alice:bi")
    clock.advance(timedelta(minutes=15) - timedelta(seconds=1))
    await reaper.turn()
    assert is_open(session)
    clock.advance(timedelta(seconds=2))
    await reaper.turn()
    assert eventually(lambda: not is_open(session))


async def test_a_session_ends_with_the_last_lease_of_its_user(
    bench: Doors, reaper: SessionReaper, opened: Callable[[str], Any]
) -> None:
    leases = [(await bench.redshift.issue(ALICE, login_request(), CONTEXT)).lease_id for _ in range(2)]
    session = opened("IAM:pk_alice:bi")
    await bench.state.revocations.revoke_lease(leases[0], cause="test", recorded=True)
    await reaper.turn()
    assert is_open(session)
    await bench.state.revocations.revoke_lease(leases[1], cause="test", recorded=True)
    await reaper.turn()
    assert eventually(lambda: not is_open(session))


async def test_a_client_that_reconnects_with_the_same_password_is_ended_again_and_again(
    bench: Doors, reaper: SessionReaper, people: StandIn
) -> None:
    """PostgreSQL does not apply the limit of `pk_alice` to `IAM:pk_alice:bi`, so that only the turns keep it out."""
    issued = await bench.redshift.issue(ALICE, login_request(), CONTEXT)
    stop, connections = threading.Event(), list[Any]()

    def reconnect() -> None:
        while not stop.is_set():
            with suppress(Exception):
                session = people.log_in("IAM:pk_alice:bi")
                connections.append(session)
                while is_open(session) and not stop.wait(0.01):
                    pass
                close_driver(session)

    client = threading.Thread(target=reconnect)
    client.start()
    try:
        assert eventually(lambda: len(connections) == 1)
        await bench.state.revocations.revoke_lease(issued.lease_id, cause="test", recorded=True)
        for times in range(3):
            seen = len(connections)
            await reaper.turn()
            assert await asyncio.to_thread(eventually, partial(grown, connections, seen)), times
    finally:
        stop.set()
        client.join()
    await reaper.turn()
    assert eventually(lambda: "IAM:pk_alice:bi" not in people.session_names())


async def test_a_revoked_user_is_blocked_and_a_new_lease_lets_it_in_again(
    bench: Doors, reaper: SessionReaper, people: StandIn
) -> None:
    issued = await bench.redshift.issue(ALICE, login_request(), CONTEXT)
    await bench.state.revocations.revoke_lease(issued.lease_id, cause="test", recorded=True)
    await reaper.turn()
    with pytest.raises(psycopg.OperationalError, match="too many connections"):
        connected(people.server, "pk_alice")
    await bench.redshift.issue(ALICE, login_request(), CONTEXT)
    connected(people.server, "pk_alice").close()


async def test_only_the_person_who_is_revoked_is_ended(
    bench: Doors, reaper: SessionReaper, opened: Callable[[str], Any]
) -> None:
    alice = await bench.redshift.issue(ALICE, login_request(), CONTEXT)
    await bench.redshift.issue(BOB, login_request(), CONTEXT)
    await bench.redshift.issue(principal("alicia", "analysts"), login_request(), CONTEXT)
    sessions = [opened("IAM:pk_bob:bi"), opened("IAM:pk_alicia")]
    await bench.state.revocations.revoke_lease(alice.lease_id, cause="test", recorded=True)
    await reaper.turn()
    assert all(is_open(session) for session in sessions)


async def test_a_lease_has_a_user_of_its_own_which_goes_with_it(
    bench: Doors, reaper: SessionReaper, people: StandIn, opened: Callable[[str], Any]
) -> None:
    issued = await bench.redshift.issue(ALICE, login_request("leased"), CONTEXT)
    user = lease_user(issued.lease_id, prefix=PREFIX)
    assert bench.recorder.only("GetClusterCredentials")["DbUser"] == user
    assert len(user) <= 64
    assert user in people.users_in()
    session = opened(user)
    await reaper.turn()
    assert is_open(session)
    await bench.state.revocations.revoke_lease(issued.lease_id, cause="test", recorded=True)
    await reaper.turn()
    assert eventually(lambda: not is_open(session))
    await reaper.turn()
    assert user not in people.users_in()


async def test_a_lease_that_failed_leaves_no_user(
    bench: Doors, reaper: SessionReaper, people: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = bench.redshift
    monkeypatch.setattr(
        door, "_clusters", {"leased": cluster("leased", identity=DatabaseUserStyle.LEASE, cluster_identifier="gone")}
    )
    (only,) = door._reapers.values()
    gone = cluster("leased", identity=DatabaseUserStyle.LEASE, cluster_identifier="gone", reaper=REAPER_SETTINGS)
    monkeypatch.setattr(door, "_clusters", {"leased": gone})
    monkeypatch.setattr(door, "_reapers", {gone.warehouse: only})
    with pytest.raises(Unavailable):
        await door.issue(ALICE, login_request("leased"), CONTEXT)
    assert any(user.startswith("pk_l_") for user in people.users_in())
    await reaper.turn()
    assert not any(user.startswith("pk_l_") for user in people.users_in())


async def test_without_a_fresh_turn_no_login_is_given(bench: Doors, reaper: SessionReaper, clock: SteppedClock) -> None:
    await bench.redshift.issue(ALICE, login_request(), CONTEXT)
    before = len(bench.recorder.calls)
    clock.advance(timedelta(seconds=11))
    with pytest.raises(Unavailable, match="end sessions"):
        await bench.redshift.issue(ALICE, login_request(), CONTEXT)
    assert len(bench.recorder.calls) == before
    await reaper.turn()
    await bench.redshift.issue(ALICE, login_request(), CONTEXT)


async def test_a_lost_connection_is_made_again(bench: Doors, reaper: SessionReaper, people: StandIn) -> None:
    people.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'penstock_reaper'")
    with suppress(Unavailable):
        await reaper.turn()
    await reaper.turn()


async def test_a_user_whose_sessions_could_not_be_told_from_others_gets_no_login(
    bench: Doors, reaper: SessionReaper
) -> None:
    longest = "a" * (SESSION_NAME_CHARS - len("IAMA:") - 1 - len(PREFIX))
    await bench.redshift.issue(principal(longest, "analysts"), login_request(), CONTEXT)
    calls = len(bench.recorder.calls)
    with pytest.raises(AccessDenied) as refused:
        await bench.redshift.issue(principal(longest + "b", "analysts"), login_request(), CONTEXT)
    assert "identity: hash" in refused.value.hint
    assert len(bench.recorder.calls) == calls


PROCEDURES = ("sp_block_user", "sp_allow_user", "sp_end_sessions", "sp_drop_user")


@pytest.mark.parametrize("target", ["awsuser", "owner", "penstock_reaper", "", "PK_alice", 'p" SUPERUSER --'])
@pytest.mark.parametrize("procedure", PROCEDURES)
def test_the_reaper_can_touch_nobody_outside_of_the_prefix(people: StandIn, procedure: str, target: str) -> None:
    with people.cursor_of("penstock_reaper") as cursor, pytest.raises(Exception, match="not one of"):
        cursor.execute(f"CALL penstock.{procedure}(%s)", (target,))


@pytest.mark.parametrize("procedure", PROCEDURES[:3])
def test_the_reaper_cannot_touch_a_superuser_even_of_the_prefix(people: StandIn, procedure: str) -> None:
    people.run('ALTER USER "pk_alice" SUPERUSER')
    with people.cursor_of("penstock_reaper") as cursor, pytest.raises(Exception, match="superuser"):
        cursor.execute(f"CALL penstock.{procedure}(%s)", ("pk_alice",))
    people.run('ALTER USER "pk_alice" NOSUPERUSER')


@pytest.mark.parametrize("target", ["pk_alice", "pk_l_short", "pk_l_" + "a" * 27])
def test_only_users_of_leases_are_made_and_dropped(people: StandIn, target: str) -> None:
    for call in ("sp_create_user(%s, '')", "sp_drop_user(%s)"):
        with people.cursor_of("penstock_reaper") as cursor, pytest.raises(Exception, match="not one of a lease"):
            cursor.execute(f"CALL penstock.{call}", (target,))


@pytest.mark.parametrize("role", ["awsuser", "sys:superuser", "pk_alice"])
def test_a_user_of_a_lease_gets_no_role_but_ours(people: StandIn, role: str) -> None:
    user = lease_user(LeaseId("0" * 32), prefix=PREFIX)
    with people.cursor_of("penstock_reaper") as cursor, pytest.raises(Exception, match="role is not one of"):
        cursor.execute("CALL penstock.sp_create_user(%s, %s)", (user, role))
    assert user not in people.users_in()


SHADOWS = (
    "CREATE TEMP TABLE stv_sessions AS SELECT 'pk_bob'::text AS user_name,"
    " '0); ALTER USER penstock_reaper SUPERUSER; --'::text AS process",
    "CREATE TEMP TABLE pg_user AS SELECT 'pk_nobody'::text AS usename, false AS usesuper",
)


@pytest.mark.parametrize("shadow", SHADOWS)
def test_tables_of_the_reaper_do_not_stand_in_for_catalogs_where_the_owner_rights_run(
    people: StandIn, opened: Callable[[str], Any], shadow: str
) -> None:
    people.run('ALTER USER "pk_alice" SUPERUSER')
    session = opened("penstock_reaper")
    # Each statement stands alone, so that one that is refused takes nothing back.
    session.autocommit = True
    with session.cursor() as cursor:
        cursor.execute(shadow)
        cursor.execute("CALL penstock.sp_end_sessions(%s)", ("pk_bob",))
        with suppress(Exception):
            cursor.execute("CALL penstock.sp_block_user(%s)", ("pk_alice",))
    held = people.run("SELECT rolname, rolsuper FROM pg_roles WHERE rolname = 'penstock_reaper'")
    limits = people.run("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'pk_alice'")
    people.run("ALTER USER penstock_reaper NOSUPERUSER")
    assert held == [("penstock_reaper", False)]
    assert limits == [(-1,)]


@pytest.mark.parametrize("call", ["sp_block_user('pk_alice')", "sp_end_sessions('pk_bob')", "sp_catalog('users', 'c')"])
def test_people_cannot_call_the_procedures(people: StandIn, call: str) -> None:
    with people.cursor_of("IAM:pk_alice") as cursor, pytest.raises(Exception, match="permission denied"):
        cursor.execute(f"CALL penstock.{call}")


def test_the_reaper_may_do_nothing_by_itself(people: StandIn) -> None:
    statements: Sequence[str] = ("ALTER USER pk_alice CONNECTION LIMIT 0", "DROP USER pk_alice", "CREATE USER pk_x")
    for statement in statements:
        with (
            people.cursor_of("penstock_reaper") as cursor,
            pytest.raises(Exception, match=r"permission denied|must be"),
        ):
            cursor.execute(statement)
