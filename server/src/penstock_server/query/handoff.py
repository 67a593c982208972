"""One place between a statement and its reader: one part of read-ahead, and no more in memory."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Generic, TypeVar

from penstock_server.errors import LimitExceeded, Reason

T = TypeVar("T")


class Handoff(Generic[T]):
    """Passes parts from one task to another; the giver waits while the place is taken.

    The giver calls `put`, `drained` and at the end `close`; the taker calls `take` until it raises or gives None.
    """

    def __init__(self, *, patience: timedelta) -> None:
        self._patience = patience
        self._part: T | None = None
        self._closed = False
        self._error: BaseException | None = None
        self._taken = asyncio.Event()
        self._taken.set()
        self._offered = asyncio.Event()

    async def put(self, part: T) -> None:
        """Offer a part once the one before is taken.

        Raises:
            LimitExceeded: `QUERY_STALLED`, the taker took nothing for `patience`.
        """
        await self.drained()
        self._part = part
        self._taken.clear()
        self._offered.set()

    def offer(self, part: T) -> None:
        """Offer a part if the place is free; it is dropped where the taker has not even taken the one before."""
        if self._taken.is_set() and not self._closed:
            self._part = part
            self._taken.clear()
            self._offered.set()

    async def drained(self) -> None:
        """Wait until nothing is on offer. Raises as `put`."""
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                await self._taken.wait()
        except TimeoutError:
            raise LimitExceeded(
                Reason.QUERY_STALLED,
                "the answer was not read in time",
                limit="query.stall_timeout",
                value=f"{self._patience.total_seconds():g} s",
                hint="read the answer as it comes, or ask for less",
            ) from None

    def close(self, error: BaseException | None) -> None:
        """End the stream: with `error` at once, else after the taker has got what is on offer."""
        self._closed = True
        self._error = error
        if error is not None:
            self._part = None  # a stalled taker must not keep a batch in memory
        self._offered.set()

    async def take(self) -> T | None:
        """Take the next part; None at the end. Raises what `close` was given."""
        await self._offered.wait()
        part, self._part = self._part, None
        if part is not None:
            if not self._closed:
                self._offered.clear()
            self._taken.set()
            return part
        if self._error is not None:
            raise self._error
        return None
