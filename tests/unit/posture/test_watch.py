"""What is known of buckets is looked at again before it is too old, and forgotten when nobody asks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from penstock_server.model.posture import NOTHING_KNOWN, BucketPosture, Finding, Requirement
from penstock_server.posture.watch import MAX_AGE, PostureWatch

START = datetime(2026, 6, 1, tzinfo=UTC)


class HandClock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - START).total_seconds()


class Buckets:
    """AWS as a test has it: what each bucket meets."""

    def __init__(self, clock: HandClock, met: bool | None = True) -> None:
        self.clock = clock
        self.met = met
        self.asked: list[str] = []

    async def check(self, bucket: str) -> BucketPosture:
        self.asked.append(bucket)
        return BucketPosture(
            bucket=bucket,
            checked_at=self.clock.now(),
            findings=tuple(Finding(requirement=each, met=self.met, why="", remedy="") for each in Requirement),
        )


def watch(*buckets: str, met: bool | None = True) -> tuple[PostureWatch, Buckets, HandClock, set[str]]:
    clock = HandClock()
    checks = Buckets(clock, met)
    wanted = set(buckets)
    return PostureWatch(checks, lambda: frozenset(wanted), clock), checks, clock, wanted


async def test_each_bucket_that_is_wanted_is_looked_at_once() -> None:
    looking, checks, clock, _ = watch("b", "a")
    assert looking.snapshot == NOTHING_KNOWN
    await looking.refresh()
    await looking.refresh()
    assert checks.asked == ["a", "b"]
    assert looking.snapshot.meets("a", Requirement.PRIVATE, at=clock.now())
    assert not looking.snapshot.meets("c", Requirement.PRIVATE, at=clock.now())


async def test_a_bucket_is_looked_at_again_before_it_is_too_old() -> None:
    looking, checks, clock, _ = watch("a")
    await looking.refresh()
    clock.at += MAX_AGE / 2 - timedelta(seconds=1)
    await looking.refresh()
    assert checks.asked == ["a"]
    clock.at += timedelta(seconds=1)
    checks.met = None
    await looking.refresh()
    assert checks.asked == ["a", "a"]
    assert not looking.snapshot.meets("a", Requirement.PRIVATE, at=clock.now())


async def test_a_clock_that_is_set_back_makes_findings_worthless() -> None:
    looking, _, clock, _ = watch("a")
    await looking.refresh()
    clock.at -= timedelta(days=1)
    assert not looking.snapshot.meets("a", Requirement.PRIVATE, at=clock.now())
    await looking.refresh()
    assert looking.snapshot.meets("a", Requirement.PRIVATE, at=clock.now())


async def test_a_bucket_that_no_grant_asks_about_any_more_is_forgotten() -> None:
    looking, _, clock, wanted = watch("a", "b")
    await looking.refresh()
    wanted.remove("a")
    await looking.refresh()
    assert [found.bucket for found in looking.snapshot.buckets] == ["b"]
    assert not looking.snapshot.meets("a", Requirement.PRIVATE, at=clock.now())


async def test_without_aws_nothing_is_known() -> None:
    looking = PostureWatch(None, lambda: frozenset({"a"}), HandClock())
    looking.start()
    await looking.refresh()
    assert looking.snapshot == NOTHING_KNOWN
    assert await looking.finding("a") is None
    await looking.close()


async def test_a_finding_of_a_bucket_that_is_not_wanted_is_asked_for_and_not_kept() -> None:
    looking, checks, _, _ = watch()
    assert await looking.finding("z") is not None
    assert checks.asked == ["z"]
    assert looking.snapshot == NOTHING_KNOWN
