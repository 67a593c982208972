"""When a session is given again, and when the server is asked."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from penstock import AccessDenied, AwsCredentials, Unauthenticated, Unavailable
from penstock.delivery import CacheRefused, RenewingSession, cached_session
from penstock.delivery.cache_files import SessionCacheFiles
from penstock.login import NotSignedIn
from support.aws_sessions import NOON, Clock, Issuer, kept, key

KEY = key()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> Issuer:
    return Issuer(clock)


class World:
    """A cache and what stands around it."""

    def __init__(self, runtime: Path, clock: Clock, issuer: Issuer) -> None:
        runtime.mkdir(mode=0o700)
        self.cache = SessionCacheFiles(runtime)
        self.clock, self.issuer = clock, issuer
        self.signed_in = True
        self.told: list[CacheRefused] = []

    def session(self) -> AwsCredentials:
        return cached_session(
            KEY,
            self.cache,
            self.issuer,
            signed_in=lambda: self.signed_in,
            tell=self.told.append,
            now=self.clock,
        )


@pytest.fixture
def world(tmp_path: Path, clock: Clock, issuer: Issuer) -> World:
    return World(tmp_path / "run", clock, issuer)


@pytest.mark.parametrize(
    ("life", "due_after"),
    [
        (timedelta(hours=12), timedelta(hours=12) - timedelta(minutes=16)),
        (timedelta(hours=1), timedelta(minutes=44)),
        (timedelta(minutes=30), timedelta(minutes=14)),
        (timedelta(minutes=20), timedelta(minutes=15)),
        (timedelta(minutes=15), timedelta(minutes=11, seconds=15)),
    ],
)
def test_a_session_is_due_before_sdks_ask_at_every_call_or_in_its_last_quarter(
    life: timedelta, due_after: timedelta
) -> None:
    session = kept(lives=life)

    assert not session.due(NOON + due_after)
    assert session.due(NOON + due_after + timedelta(seconds=1))


def test_what_is_given_to_an_sdk_has_more_than_its_window_of_fifteen_minutes() -> None:
    """botocore: `_DEFAULT_ADVISORY_REFRESH_TIMEOUT`; below it, the process is run at every call."""
    session = kept(lives=timedelta(minutes=30))
    last = max(at for at in (NOON + timedelta(seconds=s) for s in range(1800)) if not session.due(at))

    assert session.session.expires_at - last > timedelta(minutes=15)


def test_a_session_from_the_future_is_due() -> None:
    assert kept(lives=timedelta(hours=1)).due(NOON - timedelta(minutes=10))


def test_a_session_is_given_again_until_it_is_due(world: World) -> None:
    first = world.session()
    world.clock.move(minutes=43)
    assert world.session() == first
    world.clock.move(minutes=2)

    assert world.session() != first
    assert world.issuer.count == 2


def test_a_refusal_is_not_kept(world: World) -> None:
    world.issuer.refusal = AccessDenied("no", reason="NO_GRANT")
    for _ in range(2):
        with pytest.raises(AccessDenied):
            world.session()
    world.issuer.refusal = None

    assert world.session().access_key_id == "ASIA3"


@pytest.mark.parametrize("refusal", [AccessDenied("no"), Unauthenticated("no"), NotSignedIn("no")])
def test_a_session_that_is_refused_its_renewal_is_gone(world: World, refusal: Exception) -> None:
    world.session()
    world.clock.move(minutes=50)
    world.issuer.refusal = refusal
    with pytest.raises(type(refusal)):
        world.session()

    assert world.cache.load(KEY) is None


def test_a_server_that_cannot_be_reached_leaves_the_session_for_as_long_as_it_works(world: World) -> None:
    first = world.session()
    world.issuer.refusal = Unavailable("not now")
    world.clock.move(minutes=58)
    assert world.session() == first
    world.clock.move(minutes=1, seconds=1)

    with pytest.raises(Unavailable):
        world.session()


def test_no_session_outlives_a_sign_out_that_came_while_it_was_issued(world: World) -> None:
    world.signed_in = False

    world.session()

    assert world.cache.load(KEY) is None


def test_a_cache_that_cannot_be_trusted_is_told_and_gone_without(world: World, tmp_path: Path) -> None:
    (tmp_path / "run").chmod(0o755)

    assert [world.session().access_key_id for _ in range(2)] == ["ASIA1", "ASIA2"]
    assert len(world.told) == 2
    assert list((tmp_path / "run").iterdir()) == []


def test_many_at_once_ask_the_server_once(world: World) -> None:
    start = threading.Barrier(8)
    found: list[AwsCredentials] = []

    def ask() -> None:
        start.wait(10)
        found.append(world.session())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)

    assert world.issuer.count == 1
    assert [each.access_key_id for each in found] == ["ASIA1"] * 8


def test_from_memory_a_session_is_given_again_until_it_is_due(clock: Clock, issuer: Issuer) -> None:
    renewing = RenewingSession(issuer, now=clock)
    assert [renewing.current().access_key_id for _ in range(3)] == ["ASIA1"] * 3
    clock.move(minutes=45)

    assert renewing.current().access_key_id == "ASIA2"


def test_from_memory_a_session_that_is_refused_its_renewal_is_gone(clock: Clock, issuer: Issuer) -> None:
    renewing = RenewingSession(issuer, now=clock)
    renewing.current()
    clock.move(minutes=45)
    issuer.refusal = AccessDenied("no")
    with pytest.raises(AccessDenied):
        renewing.current()
    issuer.refusal = Unavailable("not now")

    with pytest.raises(Unavailable):
        renewing.current()


def test_from_memory_a_server_that_cannot_be_reached_is_not_asked_at_every_call(clock: Clock, issuer: Issuer) -> None:
    renewing = RenewingSession(issuer, now=clock)
    renewing.current()
    clock.move(minutes=45)
    issuer.refusal = Unavailable("not now")
    assert [renewing.current().access_key_id for _ in range(5)] == ["ASIA1"] * 5
    assert issuer.count == 2
    clock.move(seconds=21)
    renewing.current()
    assert issuer.count == 3
    clock.move(minutes=14)

    with pytest.raises(Unavailable):
        renewing.current()


def test_a_session_whose_sign_in_has_ended_is_not_given(clock: Clock, issuer: Issuer) -> None:
    ended = False

    def check() -> None:
        if ended:
            raise NotSignedIn("over")

    renewing = RenewingSession(issuer, check=check, now=clock)
    renewing.current()
    ended = True

    with pytest.raises(NotSignedIn):
        renewing.current()
    ended = False
    assert renewing.current().access_key_id == "ASIA2"


def test_nothing_of_a_session_shows_in_the_repr_of_what_renews_it(clock: Clock, issuer: Issuer) -> None:
    renewing = RenewingSession(issuer, now=clock)
    renewing.current()

    assert repr(renewing) == "RenewingSession(***)"
