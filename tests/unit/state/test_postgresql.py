"""What several replicas share: they see one another's changes, one at a time, and a lost server is no answer."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from penstock_server.config.secrets import SecretReferences
from penstock_server.errors import ConfigurationError, Reason, Unavailable
from penstock_server.model.lease import Begun
from penstock_server.model.secret import Secret
from penstock_server.state.postgresql import LOCK_KEY, SCHEMA_NAME, check_server_url, open_server
from penstock_server.state.store import State, open_state
from support.credentials import principal
from support.postgres_server import OWNER, connected, postgres_server
from support.shared_state import emptied, replica, url_of
from support.small_leases import a_lease, revoke_person
from support.tokens import SteppedClock

ALICE = principal("alice")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as running:
        yield running


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def replicas(server: str, clock: SteppedClock) -> Iterator[tuple[State, State]]:
    emptied(server)
    with ExitStack() as stack:
        yield stack.enter_context(replica(server, clock)), stack.enter_context(replica(server, clock))


async def test_what_one_replica_revokes_no_other_issues(replicas: tuple[State, State], clock: SteppedClock) -> None:
    here, there = replicas
    lease = a_lease(1, clock)
    assert await here.leases.begin(lease) is Begun.BEGUN
    await revoke_person(there)
    assert not await here.leases.finish(lease.id, issued_at=clock.now(), token_issued_at=ALICE.issued_at)


async def test_a_floor_that_one_replica_raises_is_read_by_the_others(replicas: tuple[State, State]) -> None:
    here, there = replicas
    await revoke_person(here)
    assert there.floors.floor(ALICE.issuer, ALICE.subject) is None
    await there.floors.reread()
    assert there.floors.floor(ALICE.issuer, ALICE.subject) is not None


async def test_one_request_asked_of_two_replicas_at_once_gives_one_lease(
    replicas: tuple[State, State], clock: SteppedClock
) -> None:
    for number in range(0, 20, 2):
        leases = [a_lease(number + here, clock, request_id=f"r{number}") for here in (0, 1)]
        begun = await asyncio.gather(
            *(state.leases.begin(lease) for state, lease in zip(replicas, leases, strict=True))
        )
        assert sorted(begun) == sorted((Begun.BEGUN, Begun.REPEATED))


async def test_generations_of_two_replicas_never_meet(replicas: tuple[State, State], clock: SteppedClock) -> None:
    leases = [a_lease(number, clock) for number in range(20)]
    for lease in leases:
        await replicas[0].leases.begin(lease)
    revoked = await asyncio.gather(
        *(
            replicas[number % 2].revocations.revoke_lease(lease.id, cause="by a test", recorded=True)
            for number, lease in enumerate(leases)
        )
    )
    assert sorted(found.generation for found in revoked) == list(range(1, 21))


async def test_a_replica_that_holds_the_lock_too_long_makes_the_others_unavailable(
    server: str, replicas: tuple[State, State], clock: SteppedClock
) -> None:
    database = open_server(Secret(url_of(server)), waits_milliseconds=50)
    try:
        with connected(server, OWNER) as other:
            other.execute(f"SELECT pg_advisory_lock({LOCK_KEY})")
            with pytest.raises(Unavailable) as refused:
                await database.run(lambda connection: connection.exec_driver_sql("SELECT 1"))
    finally:
        database.close_now()
    assert refused.value.reason is Reason.STATE_UNAVAILABLE
    assert await replicas[0].leases.begin(a_lease(1, clock)) is Begun.BEGUN


async def test_a_lost_connection_is_unavailable_or_mended_and_never_half_a_change(
    server: str, replicas: tuple[State, State], clock: SteppedClock
) -> None:
    with connected(server, OWNER) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'penstock'")
    # The connection is looked at before it is used, so a server that came back is not noticed.
    assert await replicas[0].leases.begin(a_lease(1, clock)) is Begun.BEGUN

    def killed_within(connection: object) -> None:
        with connected(server, OWNER) as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'penstock'")
        connection.exec_driver_sql("SELECT 1")  # type: ignore[attr-defined]

    with pytest.raises(Unavailable):
        await replicas[0].database.run(killed_within)
    assert await replicas[1].leases.begin(a_lease(2, clock)) is Begun.BEGUN
    assert len(await replicas[0].leases.all(after="", limit=10)) == 2


async def test_a_fault_tells_nothing_of_the_row(replicas: tuple[State, State], clock: SteppedClock) -> None:
    await replicas[0].leases.begin(a_lease(1, clock))
    with pytest.raises(Unavailable) as refused:
        await replicas[0].leases.begin(a_lease(1, clock))
    assert "finance" not in refused.value.detail
    assert f"{1:032x}" not in refused.value.detail


async def test_a_commit_is_on_disk_although_the_server_was_told_not_to_wait(replicas: tuple[State, State]) -> None:
    # The server of the tests has synchronous_commit off.
    told = await replicas[0].database.run(
        lambda connection: connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()
    )
    assert told == "on"


async def test_a_table_of_the_same_name_elsewhere_is_not_taken_for_ours(
    server: str, replicas: tuple[State, State], clock: SteppedClock
) -> None:
    with connected(server, OWNER) as other:
        other.execute("CREATE TABLE IF NOT EXISTS public.leases (id text)")
        assert await replicas[0].leases.begin(a_lease(1, clock)) is Begun.BEGUN
        assert other.execute(f"SELECT count(*) FROM {SCHEMA_NAME}.leases").fetchone() == (1,)
        assert other.execute("SELECT count(*) FROM public.leases").fetchone() == (0,)


def test_tables_of_another_version_are_refused_and_left_alone(server: str, clock: SteppedClock) -> None:
    emptied(server)
    with replica(server, clock):
        pass
    with connected(server, OWNER) as other:
        other.execute(f"UPDATE {SCHEMA_NAME}.penstock_schema SET version = 1")
        with pytest.raises(ConfigurationError, match="schema version 1"), replica(server, clock):
            pass
        assert other.execute(f"SELECT version FROM {SCHEMA_NAME}.penstock_schema").fetchone() == (1,)
    emptied(server)


def test_two_replicas_that_start_at_once_make_the_tables_once(server: str) -> None:
    emptied(server)
    program = (
        "import sys; from penstock_server.model.secret import Secret;"
        "from penstock_server.state.postgresql import open_server; open_server(Secret(sys.argv[1])).close_now()"
    )
    started = [subprocess.Popen([sys.executable, "-c", program, url_of(server)]) for _ in range(3)]
    assert [process.wait() for process in started] == [0, 0, 0]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://h/db", "not a URL of PostgreSQL"),
        ("postgresql+asyncpg://h/db", "not a URL of PostgreSQL"),
        ("hush-hush", "not a URL"),
        ("postgresql:///db", "names no host"),
        ("postgresql://h", "names no host or no database"),
        ("postgresql://h/db?options=-csearch_path%3Devil", "options that are not known"),
        ("postgresql://h/db?hostaddr=10.0.0.1", "options that are not known"),
        ("postgresql://h/db?host=a&host=b", "options that are not known"),
        ("postgresql://u:hush-hush@h/db?sslmode=require", "must be `verify-full`"),
        ("postgresql://u:hush-hush@h/db?sslmode=disable", "must be `verify-full`"),
    ],
)
def test_a_url_that_leaves_something_open_is_refused_and_not_repeated(url: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as refused:
        check_server_url(Secret(url))
    assert "hush" not in str(refused.value)


def test_a_server_that_does_not_prove_its_name_is_not_used(clock: SteppedClock) -> None:
    with socket.create_server(("127.0.0.2", 0)) as listener:
        port = listener.getsockname()[1]
        refusing = threading.Thread(target=_refuses_tls, args=(listener,))
        refusing.start()
        url = f"postgresql://{OWNER}:hush-hush@127.0.0.2:{port}/postgres"
        with pytest.raises(ConfigurationError, match="cannot be used as the state database") as refused:
            open_state("env:STATE_URL", clock, SecretReferences({"STATE_URL": url}))
        refusing.join()
    assert "hush" not in str(refused.value)


def _refuses_tls(listener: socket.socket) -> None:
    """Answer a request for TLS as a server without it does, and hear whether the client goes on all the same."""
    connection, _ = listener.accept()
    with connection:
        connection.recv(8)
        connection.sendall(b"N")
        assert connection.recv(1024) == b""


def test_a_reference_that_leads_nowhere_is_refused(clock: SteppedClock) -> None:
    with pytest.raises(ConfigurationError, match="no secret behind"):
        open_state("env:STATE_URL", clock, SecretReferences({}))
