import asyncio

import pytest
from penstock_server.errors import LimitExceeded, Reason
from penstock_server.query.queue import RETRY_SECONDS, AdmissionQueue

ALICE = ("https://login.test", "alice")
BOB = ("https://login.test", "bob")
CAROL = ("https://login.test", "carol")


PLACES = 16


def queue_of(concurrency: int, *, waiting: int = PLACES, waiting_of_one: int = PLACES) -> AdmissionQueue:
    return AdmissionQueue(concurrency=concurrency, waiting=waiting, waiting_of_one=waiting_of_one)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Line:
    """Statements that hold their slot until they are told to end."""

    def __init__(self, queue: AdmissionQueue) -> None:
        self.queue = queue
        self.started: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def arrive(self, name: str, owner: tuple[str, str]) -> None:
        self._ends[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._statement(name, owner))
        await settle()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self._tasks[name]
        await settle()

    async def leave(self, name: str) -> None:
        self._tasks[name].cancel()
        await asyncio.wait((self._tasks[name],))
        await settle()

    def cancel_without_waiting(self, name: str) -> None:
        self._tasks[name].cancel()

    async def _statement(self, name: str, owner: tuple[str, str]) -> None:
        async with self.queue.slot(owner):
            self.started.append(name)
            await self._ends[name].wait()

    async def end_all(self) -> None:
        for event in self._ends.values():
            event.set()
        await asyncio.wait_for(asyncio.gather(*self._tasks.values(), return_exceptions=True), 5)


async def test_no_more_than_the_configured_number_run_at_once() -> None:
    line = Line(queue_of(2))
    for name in ("a1", "a2", "a3"):
        await line.arrive(name, ALICE)
    assert line.started == ["a1", "a2"]
    assert (line.queue.running, line.queue.waiting) == (2, 1)
    await line.end("a1")
    assert line.started == ["a1", "a2", "a3"]
    await line.end_all()


async def test_a_principal_with_many_statements_does_not_hold_up_the_others() -> None:
    line = Line(queue_of(1))
    for number in range(1, 5):
        await line.arrive(f"a{number}", ALICE)
    await line.arrive("b1", BOB)
    await line.arrive("b2", BOB)
    await line.arrive("c1", CAROL)
    for name in ("a1", "a2", "b1", "c1", "a3", "b2"):
        await line.end(name)
    assert line.started == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]
    await line.end_all()


async def test_a_full_queue_refuses_at_once() -> None:
    queue = queue_of(1)
    line = Line(queue)
    await line.arrive("running", CAROL)
    for number in range(PLACES // 2):
        await line.arrive(f"a{number}", ALICE)
        await line.arrive(f"b{number}", BOB)
    with pytest.raises(LimitExceeded) as refused:
        async with asyncio.timeout(5), queue.slot(CAROL):
            pass
    assert refused.value.reason is Reason.QUEUE_FULL
    await line.end_all()


async def test_one_principal_cannot_fill_the_queue_for_everybody() -> None:
    queue = queue_of(1)
    line = Line(queue)
    await line.arrive("running", ALICE)
    for number in range(PLACES // 2):
        await line.arrive(f"a{number}", ALICE)
    with pytest.raises(LimitExceeded) as refused:
        async with asyncio.timeout(5), queue.slot(ALICE):
            pass
    assert refused.value.reason is Reason.QUEUE_FULL
    await line.arrive("b1", BOB)
    assert queue.waiting == PLACES // 2 + 1
    await line.end_all()


async def test_a_refusal_says_which_bound_holds_and_when_to_come_again() -> None:
    queue = queue_of(1, waiting=3, waiting_of_one=1)
    line = Line(queue)
    await line.arrive("running", ALICE)
    await line.arrive("a1", ALICE)
    told = []
    for owner, more in ((ALICE, "b1"), (CAROL, "c1")):
        if more == "c1":
            await line.arrive("b1", BOB)
            await line.arrive("d1", ("https://login.test", "dan"))
        with pytest.raises(LimitExceeded) as refused:
            async with asyncio.timeout(5), queue.slot(owner):
                pass
        told.append((refused.value.limit, refused.value.value, refused.value.retry_after_seconds))
    assert told == [("query.waiting_per_principal", "1", RETRY_SECONDS), ("query.waiting", "3", RETRY_SECONDS)]
    await line.end_all()


async def test_nobody_starves_whoever_else_comes_again_and_again() -> None:
    """Each end of a statement of the busy one brings two new ones; the quiet ones are served in their round."""
    line = Line(queue_of(1, waiting=100, waiting_of_one=50))
    await line.arrive("a0", ALICE)
    await line.arrive("a1", ALICE)
    await line.arrive("b", BOB)
    await line.arrive("c", CAROL)
    for number in range(2, 20, 2):
        running = line.started[-1]
        await line.arrive(f"a{number}", ALICE)
        await line.arrive(f"a{number + 1}", ALICE)
        await line.end(running)
    assert line.started.index("b") <= 3
    assert line.started.index("c") <= 3
    await line.end_all()


async def test_who_leaves_the_queue_takes_no_slot_along() -> None:
    line = Line(queue_of(1))
    await line.arrive("a1", ALICE)
    await line.arrive("b1", BOB)
    await line.arrive("c1", CAROL)
    await line.leave("b1")
    assert line.queue.waiting == 1
    await line.end("a1")
    assert line.started == ["a1", "c1"]
    await line.end_all()
    assert (line.queue.running, line.queue.waiting) == (0, 0)


async def test_a_slot_handed_to_somebody_who_leaves_in_the_same_instant_goes_on() -> None:
    line = Line(queue_of(1))
    await line.arrive("a1", ALICE)
    await line.arrive("b1", BOB)
    await line.arrive("c1", CAROL)
    line._ends["a1"].set()
    line.cancel_without_waiting("b1")  # before the hand-over
    await settle()
    assert line.started[-1] == "c1"
    await line.arrive("b2", BOB)
    await line.arrive("a2", ALICE)
    line._ends["c1"].set()
    await asyncio.sleep(0)  # the slot is b2's by now, and b2 has not run yet
    line.cancel_without_waiting("b2")
    await settle()
    assert line.started[-1] == "a2"
    await line.end_all()
    assert (line.queue.running, line.queue.waiting) == (0, 0)


@pytest.mark.parametrize("seed", range(20))
async def test_no_slot_is_lost_whatever_the_order_of_arrivals_ends_and_departures(seed: int) -> None:
    import random

    chance = random.Random(seed)
    line = Line(queue_of(3, waiting=200, waiting_of_one=200))
    names: list[str] = []

    def arrival() -> str:
        names.append(f"s{len(names)}")
        return names[-1]

    def end_one() -> None:
        line._ends[chance.choice(names)].set()

    def leave_one() -> None:
        line.cancel_without_waiting(chance.choice(names))

    for _ in range(200):
        if not names or chance.random() < 0.4:
            name, owner = arrival(), chance.choice((ALICE, BOB, CAROL))
            line._ends[name] = asyncio.Event()
            line._tasks[name] = asyncio.create_task(line._statement(name, owner))
        else:
            chance.choice((end_one, leave_one))()
        if chance.random() < 0.5:
            await asyncio.sleep(0)
        assert line.queue.running <= 3
    await line.end_all()
    assert (line.queue.running, line.queue.waiting) == (0, 0)
