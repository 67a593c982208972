"""What a revocation of a login does through the service's own parts: the sessions are gone when the answer is given."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from penstock_server.broker import leases as lease_broker
from penstock_server.broker.callers import Caller, Roles
from penstock_server.broker.decision_records import DecisionRecords
from penstock_server.broker.leases import LeaseBroker
from penstock_server.broker.revocation_keeper import RevocationKeeper
from penstock_server.broker.service_records import ServiceRecords
from penstock_server.broker.session_keeper import SessionKeeper
from penstock_server.broker.spark_keeper import SparkKeeper
from penstock_server.config.settings import IdentitySettings, ReaperSettings
from penstock_server.credentials.session_ends import Due, Reapers, SessionReaper
from penstock_server.engines.redshift.connection import close_driver
from penstock_server.errors import NotFound, Reason, Unavailable
from penstock_server.model.audit import Event
from penstock_server.model.principal import Principal
from penstock_server.state.store import State
from support.credentials import Doors, bound_policy, cluster, doors, login_request, principal
from support.redshift_stand_in import PREFIX, StandIn, is_open, redshift_stand_in
from support.tokens import SteppedClock, request_context

CONTEXT = request_context()
ALICE = principal("alice", "analysts")
BOB = principal("bob", "analysts")
POLICY = """
grants:
  - {name: readers, principals: ["group:analysts"], resource: "redshift:analytics",
      permissions: [CONNECT], database_groups: [bi], max_ttl: 1h}
  - {name: unwatched, principals: ["group:analysts"], resource: "redshift:unwatched",
      permissions: [CONNECT], database_groups: [bi], max_ttl: 1h}
"""
REAPER = ReaperSettings(user="penstock_reaper", password="env:EXTERNAL_ID", encrypted=False)
CLUSTERS = (cluster(reaper=REAPER), cluster("unwatched"))
NAMES = ("IAM:pk_alice:bi", "IAM:pk_bob:bi")
USERS = ("pk_alice", "pk_bob", *NAMES)


@pytest.fixture(scope="module")
def warehouse() -> Iterator[StandIn]:
    with redshift_stand_in() as stand_in:
        stand_in.run(*(f'CREATE USER "{name}"' for name in USERS))
        yield stand_in


@pytest.fixture
def opened(warehouse: StandIn) -> Iterator[Callable[[str], Any]]:
    sessions: list[Any] = []

    def log_in(name: str) -> Any:
        sessions.append(warehouse.log_in(name))
        return sessions[-1]

    yield log_in
    for session in sessions:
        close_driver(session)


class Faults:
    """The sessions of a warehouse that is away, or whose reading is at fault, as often as it is told."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.raises: list[Exception] = []
        self.away = False

    async def look(self) -> Any:
        if self.raises:
            raise self.raises.pop()
        if self.away:
            raise Unavailable(Reason.AWS_UNAVAILABLE, "away", retry_after_seconds=1.0)
        return await self._real.look()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Service:
    """Leases, and the sessions that end with them, as the service has both."""

    def __init__(self, doors: Doors, reaper: SessionReaper, faults: Faults) -> None:
        self.doors, self.reaper, self.faults = doors, reaper, faults
        records = ServiceRecords(doors.audit, doors.clock)
        self.keeper = SessionKeeper(
            reapers={CLUSTERS[0].warehouse: reaper},
            warehouses={"analytics": CLUSTERS[0].warehouse, "unwatched": "a warehouse without a reaper"},
            records=records,
        )
        self.leases = LeaseBroker(
            leases=doors.state.leases,
            revocations=doors.state.revocations,
            keeper=RevocationKeeper(
                store=doors.state.revocations,
                leases=doors.state.leases,
                floors=doors.state.floors,
                writing=None,
                records=records,
                clock=doors.clock,
                holder="this process",
                chance=lambda: 0.5,
            ),
            roles=Roles(IdentitySettings(issuers=(), administrators=(), auditors=())),
            records=DecisionRecords(doors.audit, doors.clock),
            sessions=self.keeper,
            spark=SparkKeeper(records=records),
        )

    async def login(self, who: Principal, name: str = "analytics") -> str:
        issued = await self.doors.redshift.issue(who, login_request(name), CONTEXT)
        return issued.lease_id

    async def revoke(self, who: Principal, lease: str) -> str:
        return (await self.leases.revoke(Caller(principal=who, context=CONTEXT), lease)).effect


@pytest.fixture
async def service(tmp_path: Path, aws_url: str, warehouse: StandIn) -> AsyncIterator[Service]:
    clock = SteppedClock(instant=datetime.now(UTC))
    policy = bound_policy(tmp_path / "policy", POLICY, logins=("analytics", "unwatched"))
    faults = Faults(warehouse.sessions())

    def reapers(state: State) -> Reapers:
        made = SessionReaper(
            warehouse=CLUSTERS[0].warehouse,
            logins=frozenset({"analytics"}),
            prefix=PREFIX,
            sessions=faults,
            leases=state.leases,
            clock=clock,
        )
        return {CLUSTERS[0].warehouse: made}

    with doors(tmp_path, policy, endpoint_url=aws_url, clock=clock, clusters=CLUSTERS, reapers=reapers) as both:
        (reaper,) = both.redshift._reapers.values()
        running = Service(both, reaper, faults)
        running.keeper.start()
        assert await running.keeper.ended("analytics", seconds=60)
        yield running
        await running.keeper.close()


def eventually(holds: Callable[[], bool]) -> bool:
    """Wait for what happens by itself soon; a loaded machine may take long."""
    ends = time.monotonic() + 60
    while not holds():
        if time.monotonic() > ends:
            return False
        threading.Event().wait(0.02)
    return True


def shown(warehouse: StandIn, name: str) -> bool:
    return name in warehouse.session_names()


async def test_a_revoked_login_has_no_session_when_its_holder_gets_the_answer(
    service: Service, warehouse: StandIn, opened: Callable[[str], Any]
) -> None:
    mine, _ = await service.login(ALICE), await service.login(BOB)
    session, other = opened(NAMES[0]), opened(NAMES[1])
    effect = await service.revoke(ALICE, mine)
    assert effect.startswith("ended: its sessions are closed")
    # The signal is sent; PostgreSQL takes a moment to go.
    assert await asyncio.to_thread(eventually, lambda: not shown(warehouse, NAMES[0]))
    assert not is_open(session)
    assert is_open(other)
    ended = [record for record in service.doors.audit.records if record.event is Event.SESSIONS_ENDED]
    assert [dict(record.details)["users"] for record in ended] == ["pk_alice"]
    assert ended[0].resources == (CLUSTERS[0].warehouse,)
    assert Event.LEASES_REVOKED in service.doors.audit.events()


async def test_a_session_that_begins_after_the_answer_is_ended_too(
    service: Service, warehouse: StandIn, opened: Callable[[str], Any]
) -> None:
    await service.revoke(ALICE, await service.login(ALICE))
    again = opened(NAMES[0])
    assert await asyncio.to_thread(eventually, lambda: not is_open(again))


async def test_what_another_process_revoked_is_ended_without_a_call(
    service: Service, warehouse: StandIn, opened: Callable[[str], Any]
) -> None:
    lease = await service.doors.redshift.issue(ALICE, login_request(), CONTEXT)
    session = opened(NAMES[0])
    await service.doors.state.revocations.revoke_lease(lease.lease_id, cause="elsewhere", recorded=True)
    assert await asyncio.to_thread(eventually, lambda: not is_open(session))


async def test_an_ended_lease_ends_sessions_without_a_call(
    service: Service, warehouse: StandIn, opened: Callable[[str], Any]
) -> None:
    await service.login(ALICE)
    session = opened(NAMES[0])
    service.doors.clock.advance(timedelta(hours=1, seconds=1))
    assert await asyncio.to_thread(eventually, lambda: not is_open(session))


async def test_somebody_elses_lease_is_not_revoked_and_its_session_goes_on(
    service: Service, warehouse: StandIn, opened: Callable[[str], Any]
) -> None:
    lease = await service.login(ALICE)
    session = opened(NAMES[0])
    with pytest.raises(NotFound):
        await service.revoke(BOB, lease)
    assert await service.keeper.ended("analytics", seconds=60)
    assert is_open(session)


async def test_while_the_warehouse_is_away_nobody_is_told_that_sessions_ended(
    service: Service, warehouse: StandIn, opened: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_broker, "WAITS_SECONDS", 0.3)
    lease = await service.login(ALICE)
    session = opened(NAMES[0])
    service.faults.away = True
    assert (await service.revoke(ALICE, lease)).startswith("will be ended")
    assert is_open(session)
    service.faults.away = False
    assert await asyncio.to_thread(eventually, lambda: not is_open(session))


async def test_a_warehouse_without_a_reaper_is_said_to_go_on(service: Service) -> None:
    lease = await service.login(ALICE, "unwatched")
    assert (await service.revoke(ALICE, lease)).startswith("not ended: the password may work until")


async def test_a_fault_in_one_turn_does_not_end_the_turns(
    service: Service, warehouse: StandIn, opened: Callable[[str], Any]
) -> None:
    lease = await service.login(ALICE)
    session = opened(NAMES[0])
    service.faults.raises = [RuntimeError("ours")]
    assert (await service.revoke(ALICE, lease)).startswith(("ended", "will be ended"))
    assert await asyncio.to_thread(eventually, lambda: not is_open(session))


async def test_a_turn_that_was_under_way_does_not_count(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have read the leases before the revocation."""
    let_go, begun = asyncio.Semaphore(0), asyncio.Semaphore(0)
    turn = service.reaper.turn

    async def held() -> Due:
        begun.release()
        await let_go.acquire()
        return await turn()

    monkeypatch.setattr(service.reaper, "turn", held)
    await begun.acquire()
    waiting = asyncio.create_task(service.keeper.ended("analytics", seconds=60))
    await asyncio.sleep(0)
    let_go.release()
    await begun.acquire()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    let_go.release()
    assert await waiting
