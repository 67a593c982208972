"""Deadlines and pauses."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from penstock_server.engines.duckdb.deadline import Deadline
from penstock_server.errors import LimitExceeded, Reason
from penstock_server.supervisor import Backoff


async def test_only_awaited_work_is_spent() -> None:
    deadline = Deadline(timedelta(seconds=0.2))
    await asyncio.sleep(0.3)
    assert await deadline.spend(asyncio.sleep(0.01, "done")) == "done"


async def test_work_past_the_deadline_is_cancelled_and_named() -> None:
    deadline = Deadline(timedelta(seconds=0.05))
    work = asyncio.ensure_future(asyncio.sleep(10))
    with pytest.raises(LimitExceeded) as caught:
        await deadline.spend(work)
    assert work.cancelled()
    assert (caught.value.reason, caught.value.limit, caught.value.value) == (
        Reason.QUERY_TIMEOUT,
        "query.timeout",
        "0.05s",
    )


async def test_what_was_spent_is_gone() -> None:
    deadline = Deadline(timedelta(seconds=0.3))
    await deadline.spend(asyncio.sleep(0.2))
    with pytest.raises(LimitExceeded):
        await deadline.spend(asyncio.sleep(0.2))
    with pytest.raises(LimitExceeded):
        await deadline.spend(asyncio.sleep(0.01))


async def test_an_error_of_the_work_comes_through() -> None:
    async def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await Deadline(timedelta(seconds=1)).spend(fail())


def test_pauses_grow_to_a_bound_and_start_again_after_a_steady_minute() -> None:
    backoff = Backoff()
    backoff.started(0.0)
    pauses = [backoff.pause(1.0) for _ in range(9)]
    assert pauses[:4] == [0.0, 0.1, 0.2, 0.4]
    assert pauses == sorted(pauses)
    assert max(pauses) == pauses[-1] == 5.0
    backoff.started(100.0)
    assert backoff.pause(161.0) == 0.0
