"""Runs the turns that stop Spark jobs, every few seconds, and at once after a revocation."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from penstock_server.broker.service_records import ServiceRecords
from penstock_server.broker.turns import Turns
from penstock_server.credentials.spark_ends import SparkReaper

TURNS_EVERY: Final = timedelta(seconds=5)


class SparkKeeper:
    """Takes the turns of one reaper; None where no platform is configured."""

    def __init__(self, *, records: ServiceRecords) -> None:
        self._reaper: SparkReaper | None = None
        self._records = records
        self._turns = Turns(self._turn, every=TURNS_EVERY, what="spark jobs", fails="Spark jobs cannot be looked at")

    def start(self, reaper: SparkReaper | None) -> None:
        """Begin; the first turn comes at once."""
        self._reaper = reaper
        if reaper is not None:
            self._turns.start()

    async def close(self) -> None:
        """End the turns; what is left is stopped by the next process."""
        await self._turns.close()

    def wake(self) -> None:
        """Take the next turn at once: something was revoked, or a start failed."""
        self._turns.wake()

    async def told(self, *, seconds: float) -> bool:
        """Wait for a whole turn that begins after now, and reached everything; False where there was none yet."""
        return self._reaper is not None and await self._turns.taken(seconds=seconds)

    async def _turn(self) -> None:
        if self._reaper is None:
            raise RuntimeError("a turn without a reaper")
        done = await self._reaper.turn()
        if not done.failed:
            # A turn that could not reach a service counts as none for whoever waits.
            self._turns.reached()
        if done.stopped:
            await self._records.spark_jobs_stopped(done.stopped)
