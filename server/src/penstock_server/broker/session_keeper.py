"""Runs the turns that end sessions of warehouses, every two seconds, and at once after a revocation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from penstock_server.broker.service_records import ServiceRecords
from penstock_server.credentials.session_ends import TURNS_EVERY, Due, SessionReaper
from penstock_server.errors import PenstockError

log = logging.getLogger(__name__)

_AHEAD: Final = 2
"""Turns that begin after a revocation until it is seen to be done: one may be under way already."""


class SessionKeeper:
    """The reapers of all warehouses, each in its own task; `warehouses` tells which login is of which."""

    def __init__(
        self, *, reapers: Mapping[str, SessionReaper], warehouses: Mapping[str, str], records: ServiceRecords
    ) -> None:
        self._reapers = reapers
        self._warehouses = warehouses
        self._records = records
        self._tasks: list[asyncio.Task[None]] = []
        self._wakes = {name: asyncio.Event() for name in reapers}
        self._turns = dict.fromkeys(reapers, 0)
        self._turned = asyncio.Condition()

    def start(self) -> None:
        """Begin; the first turns come at once."""
        self._tasks = [
            asyncio.create_task(self._run(name, reaper), name=f"sessions of {name}")
            for name, reaper in self._reapers.items()
        ]

    async def close(self) -> None:
        """End the turns."""
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for reaper in self._reapers.values():
            await reaper.close()

    def wake(self) -> None:
        """Take the next turns at once: something was revoked."""
        for event in self._wakes.values():
            event.set()

    def covers(self, login: str) -> bool:
        """Tell whether sessions of a login are ended."""
        return self._warehouses.get(login) in self._reapers

    async def ended(self, login: str, *, seconds: float) -> bool:
        """Wait for a whole turn that begins after now, for so long; False where there was none yet."""
        name = self._warehouses.get(login, "")
        if name not in self._reapers:
            return False
        wanted = self._turns[name] + _AHEAD
        try:
            async with asyncio.timeout(seconds):
                while self._turns[name] < wanted:
                    self._wakes[name].set()
                    async with self._turned:
                        await self._turned.wait()
        except TimeoutError:
            return False
        return True

    async def _run(self, name: str, reaper: SessionReaper) -> None:
        while True:
            self._wakes[name].clear()
            try:
                done = await reaper.turn()
                self._turns[name] += 1
                await self._tell(name, done)
            except PenstockError as error:
                log.error("sessions of a warehouse cannot be ended", extra={"detail": error.detail})  # noqa: TRY400
            except Exception:  # a fault in one turn must not end all turns
                log.exception("a turn of sessions failed by a fault of ours")
            async with self._turned:
                self._turned.notify_all()
            with suppress(TimeoutError):
                async with asyncio.timeout(TURNS_EVERY.total_seconds()):
                    await self._wakes[name].wait()

    async def _tell(self, name: str, done: Due) -> None:
        if done.end:
            await self._records.sessions_ended(name, done.end)
