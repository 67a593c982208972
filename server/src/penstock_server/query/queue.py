"""Who may run next: a bounded queue that is fair to principals."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from penstock_server.errors import LimitExceeded, Reason

RETRY_SECONDS: Final = 2.0
"""When who was refused should come again."""

Owner = tuple[str, str]
"""Issuer and subject: the identity whose turn it is."""


class AdmissionQueue:
    """Lets `concurrency` statements run at once; those that wait take turns by principal, oldest first within one.

    At most `waiting` statements wait, and of one principal at most `waiting_of_one`: never more than half of all, so
    that nobody can close the queue for everybody else.
    """

    def __init__(self, *, concurrency: int, waiting: int, waiting_of_one: int) -> None:
        self._free = concurrency
        self._concurrency = concurrency
        self._capacity = waiting
        self._share = min(waiting_of_one, max(1, waiting // 2))
        self._waiting: OrderedDict[Owner, deque[asyncio.Future[None]]] = OrderedDict()
        self._length = 0

    @property
    def running(self) -> int:
        """How many statements hold a slot."""
        return self._concurrency - self._free

    @property
    def waiting(self) -> int:
        """How many statements wait for one."""
        return self._length

    @asynccontextmanager
    async def slot(self, owner: Owner) -> AsyncIterator[None]:
        """Hold a slot for the length of the block.

        Raises:
            LimitExceeded: `QUEUE_FULL`; nothing waits.
        """
        await self._acquire(owner)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, owner: Owner) -> None:
        if self._free > 0 and self._length == 0:
            self._free -= 1
            return
        line = self._waiting.get(owner)
        if line is not None and len(line) >= self._share:
            raise _full("too many of your statements are waiting already", "query.waiting_per_principal", self._share)
        if self._length >= self._capacity:
            raise _full("too many statements are waiting already", "query.waiting", self._capacity)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(turn)
        self._length += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._leave(owner, turn)
            else:
                # The slot was handed over in the same instant: it must not get lost.
                self._release()
            raise

    def _leave(self, owner: Owner, turn: asyncio.Future[None]) -> None:
        line = self._waiting.get(owner)
        if line is None or turn not in line:
            return  # `_release` has already passed over it
        line.remove(turn)
        self._length -= 1
        if not line:
            del self._waiting[owner]

    def _release(self) -> None:
        while self._waiting:
            owner, line = self._waiting.popitem(last=False)
            turn = line.popleft()
            self._length -= 1
            if line:
                self._waiting[owner] = line
            if not turn.cancelled():
                turn.set_result(None)
                return
        self._free += 1


def _full(message: str, limit: str, value: int) -> LimitExceeded:
    return LimitExceeded(
        Reason.QUEUE_FULL,
        message,
        limit=limit,
        value=str(value),
        retry_after_seconds=RETRY_SECONDS,
        hint="try again in a few seconds",
    )
