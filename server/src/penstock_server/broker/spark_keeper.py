"""Runs the turns that stop Spark jobs, every few seconds, and at once after a revocation."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final

from penstock_server.broker.service_records import ServiceRecords
from penstock_server.credentials.spark_ends import SparkReaper
from penstock_server.errors import PenstockError

log = logging.getLogger(__name__)

TURNS_EVERY_SECONDS: Final = 5.0
_AHEAD: Final = 2
"""Turns that begin after a revocation until it is seen to be done: one may be under way already."""


class SparkKeeper:
    """Takes the turns of one reaper; None where no platform is configured."""

    def __init__(self, *, records: ServiceRecords) -> None:
        self._reaper: SparkReaper | None = None
        self._records = records
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._turns = 0
        self._turned = asyncio.Condition()

    def start(self, reaper: SparkReaper | None) -> None:
        """Begin; the first turn comes at once."""
        self._reaper = reaper
        if reaper is not None:
            self._task = asyncio.create_task(self._run(reaper), name="spark jobs")

    async def close(self) -> None:
        """End the turns; what is left is stopped by the next process."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def wake(self) -> None:
        """Take the next turn at once: something was revoked, or a start failed."""
        self._wake.set()

    async def told(self, *, seconds: float) -> bool:
        """Wait for a whole turn that begins after now, and reached everything; False where there was none yet."""
        if self._reaper is None:
            return False
        wanted = self._turns + _AHEAD
        try:
            async with asyncio.timeout(seconds):
                while self._turns < wanted:
                    self._wake.set()
                    async with self._turned:
                        await self._turned.wait()
        except TimeoutError:
            return False
        return True

    async def _run(self, reaper: SparkReaper) -> None:
        while True:
            self._wake.clear()
            try:
                done = await reaper.turn()
                # A turn that could not reach a service counts as none for whoever waits.
                self._turns += 0 if done.failed else 1
                if done.stopped:
                    await self._records.spark_jobs_stopped(done.stopped)
            except PenstockError as error:
                log.error("Spark jobs cannot be looked at", extra={"detail": error.detail})  # noqa: TRY400
            except Exception:  # a fault in one turn must not end all turns
                log.exception("a turn over Spark jobs failed by a fault of ours")
            async with self._turned:
                self._turned.notify_all()
            with suppress(TimeoutError):
                async with asyncio.timeout(TURNS_EVERY_SECONDS):
                    await self._wake.wait()
