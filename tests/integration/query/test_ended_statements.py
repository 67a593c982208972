"""Statements whose ground goes away while they run: a revoked person, a narrower policy, an administrator."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from penstock_server.broker.query_watch import QueryWatch
from penstock_server.errors import AccessDenied, Reason
from penstock_server.model.audit import Event, Outcome
from penstock_server.query import running
from penstock_server.query.ending import EndCause
from penstock_server.query.reading import takes_away
from penstock_server.query.requests import QueryPart
from penstock_server.query.running import Phase
from support.query_stand import Stand, analyst, context, request, run, standing
from support.small_lake import POLICY

ENDLESS = "select count(*) from nyc.airlines, range(100000000000) a, range(1000000) b where (a.range * b.range) % 7 = 3"
NARROWER = "version: 1\n"


class RaisedFloors:
    """What a state tells: `raised` is on disk, and counts once it was read again."""

    def __init__(self) -> None:
        self.raised: dict[tuple[str, str], int] = {}
        self._known: dict[tuple[str, str], int] = {}

    def floor(self, issuer: str, subject: str) -> int | None:
        return self._known.get((issuer, subject))

    async def reread(self) -> None:
        self._known = dict(self.raised)


def floor_of(subject: str) -> dict[tuple[str, str], int]:
    return {("https://login.test", subject): int(time.time()) + 60}


def watch_of(stand: Stand, floors: RaisedFloors) -> QueryWatch:
    return QueryWatch(running=stand.door.running, policies=stand.policies, floors=floors, on_policy=lambda: None)


@contextlib.asynccontextmanager
async def watching(stand: Stand, floors: RaisedFloors) -> AsyncIterator[None]:
    watch = watch_of(stand, floors)
    watch.start()
    try:
        yield
    finally:
        await watch.close()


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not what():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


def answering(stand: Stand, count: int = 1) -> Callable[[], bool]:
    return lambda: [one.phase for one in stand.door.running.listed()].count(Phase.ANSWERING) == count


async def ended_by(stand: Stand, act: Callable[[], Awaitable[object]]) -> tuple[AccessDenied, float]:
    """Run an endless statement, act, and give the error that it ends with and the seconds that it took."""
    task = asyncio.create_task(run(stand, "endless", request(ENDLESS)))
    await until(answering(stand))
    await act()
    since = time.monotonic()
    with pytest.raises(AccessDenied) as caught:
        await asyncio.wait_for(task, 30)
    return caught.value, time.monotonic() - since


def cause(error: AccessDenied) -> str:
    assert error.reason is Reason.STATEMENT_ENDED
    return dict(error.metadata)["cause"]


async def test_the_statements_of_a_revoked_person_end_those_that_wait_too_and_the_audit_says_so(tmp_path: Path) -> None:
    floors = RaisedFloors()
    async with standing(tmp_path, concurrency=1) as stand, watching(stand, floors):
        waiting: list[asyncio.Task[list[QueryPart]]] = []

        async def revoke() -> None:
            waiting.append(asyncio.create_task(run(stand, "waits", request("select 1"))))
            await until(lambda: len(stand.door.running) == 2)
            person = analyst()
            floors.raised = floor_of(person.subject)

        error, seconds = await ended_by(stand, revoke)
        with pytest.raises(AccessDenied) as also:
            await asyncio.wait_for(waiting[0], 30)
        assert [cause(error), cause(also.value)] == ["revoked", "revoked"]
        assert seconds < 20  # measured: under a second where the machine is idle
        assert len(stand.door.running) == 0
        told = [(record.event, record.outcome, record.reason) for record in await stand.records("endless")]
        waited = [(record.event, record.reason) for record in await stand.records("waits")]
    assert told[-1] == (Event.QUERY_FINISHED, Outcome.FAILED, "STATEMENT_ENDED")
    assert waited == [(Event.QUERY_REFUSED, "STATEMENT_ENDED")]


async def test_somebody_elses_revocation_ends_nothing(tmp_path: Path) -> None:
    floors = RaisedFloors()
    async with standing(tmp_path) as stand:
        task = asyncio.create_task(run(stand, "endless", request(ENDLESS)))
        await until(answering(stand))
        floors.raised = floor_of("somebody-else")
        await floors.reread()
        assert stand.door.running.end_revoked(floors) == 0
        assert stand.door.running.end("endless", EndCause.ADMINISTRATOR)
        with pytest.raises(AccessDenied) as caught:
            await asyncio.wait_for(task, 30)
        assert cause(caught.value) == "administrator"
        assert not stand.door.running.end("endless", EndCause.ADMINISTRATOR)


async def test_a_policy_that_takes_the_table_away_ends_the_statement(tmp_path: Path) -> None:
    floors = RaisedFloors()
    async with standing(tmp_path) as stand, watching(stand, floors):
        error, _ = await ended_by(stand, lambda: stand.replace_policy(NARROWER))
        assert cause(error) == "policy"


FROM_FLIGHTS = (
    "select count(carrier) from nyc.flights, range(100000000000) a, range(1000000) b where (a.range * b.range) % 7 = 3"
)


CHANGES = {
    "a comment": ("version: 1", "version: 1 # a comment", False),
    "a column that is not read": ("{exclude: [delay]}", "{exclude: [delay, origin]}", False),
    "a column that is read": ("{exclude: [delay]}", "{exclude: [delay, carrier]}", True),
    "other rows": ("origin = 'JFK'", "origin = 'LGA'", True),
    "a mask away": ("    masks: {tail: hidden-tail}\n", "", False),
    "a mask on what is read": ("    masks: {tail: hidden-tail}\n", "    masks: {carrier: hidden-tail}\n", True),
    "all rows": ("    rows: \"origin = 'JFK'\"\n", "", False),
    "everything away": (POLICY, NARROWER, True),
}


async def test_only_a_policy_that_gives_less_of_what_is_read_ends_a_statement(tmp_path: Path) -> None:
    async with standing(tmp_path) as stand:
        task = asyncio.create_task(run(stand, "endless", request(FROM_FLIGHTS)))
        await until(answering(stand))
        reading = stand.door.running._statements["endless"].reading
        assert reading is not None
        found = {}
        for name, (old, new, _) in CHANGES.items():
            assert old in POLICY
            await stand.replace_policy(POLICY.replace(old, new))
            facts = context("endless").facts(at=datetime.now(UTC))
            found[name] = takes_away(stand.policies.current(), reading, analyst(), facts)
        assert found == {name: ends for name, (_, _, ends) in CHANGES.items()}
        assert await stand.door.running.end_taken_away(stand.policies.current()) == 1
        with pytest.raises(AccessDenied):
            await asyncio.wait_for(task, 30)


async def test_without_the_look_at_floors_a_revoked_persons_statement_runs_on(tmp_path: Path) -> None:
    """The protection switched off: nothing else ends it."""
    floors = RaisedFloors()
    async with standing(tmp_path) as stand:
        watch = watch_of(stand, floors)
        task = asyncio.create_task(run(stand, "endless", request(ENDLESS)))
        await until(answering(stand))
        person = analyst()
        floors.raised = floor_of(person.subject)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(running, "_is_revoked", lambda *_: False)
            await watch.look()
            assert not task.cancelling()
        await watch.look()
        with pytest.raises(AccessDenied):
            await asyncio.wait_for(task, 30)
