"""Two hundred statements at once, through the whole door."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from penstock_server.errors import LimitExceeded, Reason
from penstock_server.model.audit import Event
from penstock_server.query.requests import QueryTrailer
from penstock_server.query.running import Phase
from support.query_stand import Stand, analyst, context, request, standing

PEOPLE = 4
EACH = 50


async def answer(stand: Stand, person: int, number: int, ends: list[int]) -> int:
    """Run one small statement and note, in the order of their ends, whose it was; gives the rows of its answer."""
    who = replace(analyst(), subject=f"person {person}")
    asked = request(f"select n from nyc.numbers where n < {number + 1}")
    async with contextlib.aclosing(stand.door.execute(who, asked, context(f"{person}-{number}"))) as parts:
        told = [part async for part in parts]
    ends.append(person)
    last = told[-1]
    assert isinstance(last, QueryTrailer)
    return last.row_count


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_two_hundred_statements_at_once_are_all_answered_in_turns_of_principals(tmp_path: Path) -> None:
    ends: list[int] = []
    async with standing(tmp_path, concurrency=4) as stand:
        async with asyncio.timeout(550):
            # One principal after the other: the last one's first statement stands behind 150 of the others.
            tasks = [
                asyncio.create_task(answer(stand, person, number, ends))
                for person in range(PEOPLE)
                for number in range(EACH)
            ]
            rows = await asyncio.gather(*tasks)
        assert rows == [number + 1 for _ in range(PEOPLE) for number in range(EACH)]
        entries = await stand.audit.entries(after=0, limit=1_000)
        events = [entry.record.event for entry in entries]
        assert events.count(Event.QUERY_ADMITTED) == events.count(Event.QUERY_FINISHED) == PEOPLE * EACH
        assert len(stand.door.running) == 0
    # Whoever came last is not served last: in every forty ends each principal has its share.
    for person in range(PEOPLE):
        assert abs(ends[:40].count(person) - 10) <= 6


async def test_past_the_queue_a_statement_is_refused_and_a_waiter_who_leaves_gives_its_place(tmp_path: Path) -> None:
    endless = "select count(*) from range(100000000000) a, range(1000000) b where (a.range * b.range) % 7 = 3"
    async with standing(tmp_path, concurrency=1, waiting=4, waiting_per_principal=2) as stand:

        def start(person: int, number: int, sql: str) -> asyncio.Task[None]:
            async def run() -> None:
                who = replace(analyst(), subject=f"person {person}")
                execution = stand.door.execute(who, request(sql), context(f"{person}-{number}"))
                async with contextlib.aclosing(execution) as parts:
                    async for _ in parts:
                        pass

            return asyncio.create_task(run())

        async def waiting(count: int) -> None:
            async with asyncio.timeout(30):
                while [one.phase for one in stand.door.running.listed()].count(Phase.WAITING) != count:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

        running = start(0, 0, endless)
        await waiting(0)
        first, second = start(0, 1, "select 1"), start(0, 2, "select 1")
        await waiting(2)
        with pytest.raises(LimitExceeded) as refused:
            await start(0, 3, "select 1")
        assert (refused.value.reason, refused.value.limit) == (Reason.QUEUE_FULL, "query.waiting_per_principal")
        assert refused.value.retry_after_seconds
        # The deadline of its caller passes.
        first.cancel()
        await asyncio.wait((first,))
        await waiting(1)
        third = start(0, 4, "select 1")
        await waiting(2)
        running.cancel()
        await asyncio.wait_for(asyncio.gather(second, third), 30)
