"""Engine time: the part of a statement's life in which the engine, not the client, is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar

from penstock_server.errors import LimitExceeded, Reason

T = TypeVar("T")


class Deadline:
    """What is left of a statement's engine time."""

    def __init__(self, timeout: timedelta) -> None:
        self._timeout = timeout
        self._left = timeout.total_seconds()

    async def spend(self, work: Awaitable[T]) -> T:
        """Await this work within what is left.

        Raises:
            LimitExceeded: the time is used up (`QUERY_TIMEOUT`); the work has been cancelled.
        """
        clock = asyncio.get_running_loop()
        began = clock.time()
        try:
            async with asyncio.timeout(self._left):
                return await work
        except TimeoutError as error:
            raise LimitExceeded(
                Reason.QUERY_TIMEOUT,
                "the statement took longer than it may",
                limit="query.timeout",
                value=f"{self._timeout.total_seconds():g}s",
                hint="read fewer rows, or aggregate in smaller steps",
            ) from error
        finally:
            self._left -= clock.time() - began
