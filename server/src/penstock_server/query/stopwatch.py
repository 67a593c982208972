"""Engine time: what a statement has used, and what it may still use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from penstock_server.errors import LimitExceeded, Reason
from penstock_server.model.clock import Clock


class Stopwatch:
    """Adds up the time in which a statement waits for the engine; waiting for the client does not count."""

    def __init__(self, clock: Clock, *, limit: timedelta) -> None:
        self._clock = clock
        self._limit = limit
        self._used = 0.0

    @property
    def used(self) -> timedelta:
        """Engine time so far."""
        return timedelta(seconds=self._used)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Count the block.

        Raises:
            LimitExceeded: `QUERY_TIMEOUT`, the block was cancelled because the limit was reached.
        """
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(max(0.0, self._limit.total_seconds() - self._used)):
                yield
        except TimeoutError:
            raise timed_out(self._limit) from None
        finally:
            self._used += self._clock.monotonic() - started


@asynccontextmanager
async def until(instant: datetime | None, clock: Clock) -> AsyncIterator[None]:
    """Let the block run no longer than the decision that it stands on.

    Raises:
        LimitExceeded: `QUERY_TIMEOUT`, the block was cancelled because the decision ended.
    """
    seconds = None if instant is None else max(0.0, (instant - clock.now()).total_seconds())
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise LimitExceeded(
            Reason.QUERY_TIMEOUT,
            "the decision that the statement stands on has ended",
            limit="decision",
            value="its end",
            hint="run the statement again: the policy decides anew",
        ) from None


def timed_out(limit: timedelta) -> LimitExceeded:
    """The error of a statement that took longer than it may."""
    return LimitExceeded(
        Reason.QUERY_TIMEOUT,
        "the statement took longer than it may",
        limit="query.timeout",
        value=f"{limit.total_seconds():g} s",
        hint="narrow the statement, or ask for a longer timeout if the server allows one",
    )
