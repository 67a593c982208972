import asyncio
from datetime import timedelta

import pytest
from penstock_server.errors import LimitExceeded, Reason
from penstock_server.query.handoff import Handoff

PATIENT = timedelta(seconds=30)


async def test_parts_arrive_in_order_and_the_end_is_told() -> None:
    handoff: Handoff[int] = Handoff(patience=PATIENT)

    async def give() -> None:
        for number in range(5):
            await handoff.put(number)
        handoff.close(None)

    giver = asyncio.create_task(give())
    taken = []
    while (part := await handoff.take()) is not None:
        taken.append(part)
    await giver
    assert taken == [0, 1, 2, 3, 4]


async def test_the_giver_is_never_more_than_one_part_ahead() -> None:
    handoff: Handoff[int] = Handoff(patience=PATIENT)
    given = []

    async def give() -> None:
        for number in range(3):
            await handoff.put(number)
            given.append(number)

    giver = asyncio.create_task(give())
    for _ in range(5):
        await asyncio.sleep(0)
    assert given == [0]
    assert await handoff.take() == 0
    for _ in range(5):
        await asyncio.sleep(0)
    assert given == [0, 1]
    giver.cancel()
    await asyncio.wait((giver,))


async def test_a_taker_who_takes_nothing_is_told_to_have_stalled() -> None:
    handoff: Handoff[int] = Handoff(patience=timedelta(milliseconds=20))
    await handoff.put(1)
    with pytest.raises(LimitExceeded) as stalled:
        await handoff.put(2)
    assert stalled.value.reason is Reason.QUERY_STALLED


async def test_an_error_comes_at_once_and_drops_what_was_on_offer() -> None:
    handoff: Handoff[int] = Handoff(patience=PATIENT)
    await handoff.put(1)
    handoff.close(LookupError("gone"))
    with pytest.raises(LookupError):
        await handoff.take()


async def test_drained_waits_until_the_last_part_is_taken() -> None:
    handoff: Handoff[int] = Handoff(patience=PATIENT)
    await handoff.put(1)
    waiting = asyncio.create_task(handoff.drained())
    await asyncio.sleep(0)
    assert not waiting.done()
    await handoff.take()
    await asyncio.wait_for(waiting, 1)
