"""Turns of work that is done again and again: every so often, and at once where somebody asks for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final

from penstock_server.errors import PenstockError

log = logging.getLogger(__name__)

_AHEAD: Final = 2
"""Turns that end from now until one is seen that began after now: one may be under way already."""


class Turns:
    """Takes turns in a task of its own; a turn calls `reached` when it has reached all that it had to.

    `what` names the task, and `fails` is what the log says of a turn that could not be taken.
    """

    def __init__(self, turn: Callable[[], Awaitable[None]], *, every: timedelta, what: str, fails: str) -> None:
        self._turn = turn
        self._every = every
        self._what = what
        self._fails = fails
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._reached = 0
        self._turned = asyncio.Condition()

    def start(self) -> None:
        """Begin; the first turn comes at once."""
        self._task = asyncio.create_task(self._run(), name=self._what)

    async def close(self) -> None:
        """End the turns, also one that is under way."""
        if self._task is None:
            return
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._task = None

    def wake(self) -> None:
        """Take the next turn at once."""
        self._wake.set()

    def reached(self) -> None:
        """Count the turn that is under way: whoever waits for one may go on, whatever becomes of its record."""
        self._reached += 1

    async def taken(self, *, seconds: float) -> bool:
        """Wait for a turn that begins after now and reaches all, for so long; False where there was none yet."""
        wanted = self._reached + _AHEAD
        try:
            async with asyncio.timeout(seconds):
                while self._reached < wanted:
                    self._wake.set()
                    async with self._turned:
                        await self._turned.wait()
        except TimeoutError:
            return False
        return True

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._turn()
            except PenstockError as error:
                log.error(self._fails, extra={"detail": error.detail})  # noqa: TRY400
            except Exception:  # a fault in one turn must not end all turns
                log.exception("a turn failed by a fault of ours", extra={"turns": self._what})
            async with self._turned:
                self._turned.notify_all()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every.total_seconds()):
                    await self._wake.wait()
