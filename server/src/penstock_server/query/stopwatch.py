"""Engine time, and the end of a decision."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta

from penstock_server.errors import LimitExceeded, Reason
from penstock_server.model.clock import Clock


class Stopwatch:
    """Adds up the time in which a statement waits for the engine; waiting for the client does not count.

    It only measures: the engine itself ends a statement that takes too long.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._used = 0.0

    @property
    def used(self) -> timedelta:
        """Engine time so far."""
        return timedelta(seconds=self._used)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the block."""
        started = self._clock.monotonic()
        try:
            yield
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
