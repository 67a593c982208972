"""Drafts of policies are looked at beside the event loop, one at a time, and only as long as somebody waits."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from penstock_server.broker import policy_drafts
from penstock_server.broker.policy_drafts import DraftFile, PolicyDrafts
from penstock_server.errors import LimitExceeded, Unavailable
from penstock_server.model.clock import SystemClock
from penstock_server.policy.proof.plan import compare_while
from support.loading import POLICY, LoadingBench, loading_bench

SENT = (DraftFile(path="policy.yaml", content=POLICY.format(name="sent").encode()),)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[LoadingBench]:
    made = loading_bench(tmp_path)
    await made.loader.start()
    yield made
    await made.audit.close()


@pytest.fixture
async def drafts(bench: LoadingBench) -> AsyncIterator[PolicyDrafts]:
    made = PolicyDrafts(settings=bench.settings, loader=bench.loader, rules=bench.rules, clock=SystemClock())
    yield made
    made.close()


class Held:
    """A comparison that waits, and says when it has begun and how it was told to go on."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.release = threading.Event()
        self.wanted: list[bool] = []
        self.at_once = 0
        self.most_at_once = 0

    def __call__(self, going_on: Callable[[], bool], *policies: Any, **how: Any) -> Any:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.begun.set()
        self.release.wait(20)
        self.wanted.append(going_on())
        self.at_once -= 1
        return compare_while(going_on, *policies, **how)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    made = Held()
    monkeypatch.setattr(policy_drafts, "compare_while", made)
    return made


async def test_the_event_loop_goes_on_during_a_plan(drafts: PolicyDrafts, held: Held) -> None:
    plan = asyncio.create_task(drafts.plan(SENT))
    await asyncio.to_thread(held.begun.wait, 20)
    for _ in range(10):
        await asyncio.sleep(0)
    assert not plan.done()
    held.release.set()
    assert (await plan).report.verdict == "SAME"


async def test_plans_take_turns(drafts: PolicyDrafts, held: Held) -> None:
    plans = [asyncio.create_task(drafts.plan(SENT)) for _ in range(4)]
    await asyncio.to_thread(held.begun.wait, 20)
    held.release.set()
    await asyncio.gather(*plans)
    assert held.wanted == [True] * 4
    assert held.most_at_once == 1


async def test_a_plan_that_nobody_waits_for_is_given_up(drafts: PolicyDrafts, held: Held) -> None:
    plan = asyncio.create_task(drafts.plan(SENT))
    await asyncio.to_thread(held.begun.wait, 20)
    plan.cancel()
    with pytest.raises(asyncio.CancelledError):
        await plan
    held.release.set()
    assert (await drafts.validate(SENT)).version is not None  # the thread is free again
    assert held.wanted == [False]


async def test_a_plan_that_takes_too_long_is_refused(bench: LoadingBench) -> None:
    drafts = PolicyDrafts(
        settings=bench.settings,
        loader=bench.loader,
        rules=bench.rules,
        clock=SystemClock(),
        max_plan_time=timedelta(seconds=-1),
    )
    with pytest.raises(LimitExceeded) as raised:
        await drafts.plan(SENT)
    assert raised.value.reason == "PLAN_TIMEOUT"
    drafts.close()


async def test_there_is_no_plan_without_a_policy_in_force(tmp_path: Path) -> None:
    made = loading_bench(tmp_path)
    drafts = PolicyDrafts(settings=made.settings, loader=made.loader, rules=made.rules, clock=SystemClock())
    for look in (drafts.plan, drafts.validate):
        with pytest.raises(Unavailable):
            await look(SENT)
    drafts.close()
    await made.audit.close()
