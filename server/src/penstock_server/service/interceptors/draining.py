"""No new work for a server that is about to stop."""

from __future__ import annotations

import asyncio

from penstock_server.errors import Reason, Unavailable
from penstock_server.service.calls import Call, Proceed


class Draining:
    """Counts the calls under way; once draining, those that need a token are sent elsewhere."""

    def __init__(self) -> None:
        self._draining = False
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def around(self, call: Call, proceed: Proceed) -> bytes | None:
        """Let the call proceed. Raises Unavailable (`SHUTTING_DOWN`)."""
        if call.open:
            return await proceed()
        if self._draining:
            raise Unavailable(
                Reason.SHUTTING_DOWN,
                "the server is about to stop",
                retry_after_seconds=1.0,
                hint="try again: another server, or the next one here, will answer",
            )
        self._under_way += 1
        self._idle.clear()
        try:
            return await proceed()
        finally:
            self._under_way -= 1
            if self._under_way == 0:
                self._idle.set()

    async def drain(self, *, seconds: float) -> int:
        """Take no new calls and wait for those under way; gives how many are left after `seconds`."""
        self._draining = True
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            pass
        return self._under_way
