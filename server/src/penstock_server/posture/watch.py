"""Keeps what is known of buckets fresh, in the background; decisions read a snapshot and never wait."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final

from penstock_server.model.clock import Clock
from penstock_server.model.ports import BucketCheck
from penstock_server.model.posture import NOTHING_KNOWN, BucketPosture, Posture

log = logging.getLogger(__name__)

MAX_AGE: Final = timedelta(minutes=5)
"""How long a finding counts; it is looked at again after half of it."""
_TICK: Final = timedelta(seconds=5)
"""How soon a bucket that a new policy names is looked at."""


class PostureWatch:
    """Looks at the buckets that `wanted` gives. `checks` None = there is no AWS here, and so nothing is ever known."""

    def __init__(self, checks: BucketCheck | None, wanted: Callable[[], frozenset[str]], clock: Clock) -> None:
        self._checks = checks
        self._wanted = wanted
        self._clock = clock
        self._found: dict[str, BucketPosture] = {}
        self._snapshot = NOTHING_KNOWN
        self._task: asyncio.Task[None] | None = None

    @property
    def snapshot(self) -> Posture:
        """What is known now; the same value until something was looked at again."""
        return self._snapshot

    def start(self) -> None:
        """Look at buckets from now on."""
        if self._checks is not None:
            self._task = asyncio.create_task(self._run(), name="posture")

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def refresh(self) -> None:
        """Look at each bucket that is wanted and was not looked at for half of `MAX_AGE`; forget the others."""
        wanted = self._wanted()
        for bucket in sorted(wanted):
            if self._is_due(bucket):
                await self._look(bucket)
        if self._found.keys() - wanted:
            self._keep({bucket: found for bucket, found in self._found.items() if bucket in wanted})

    async def finding(self, bucket: str) -> BucketPosture | None:
        """Give what is known of a bucket, wanted or not; looks at it where that is not fresh. None without AWS."""
        if self._checks is None:
            return None
        if self._is_due(bucket):
            return await self._checks.check(bucket)
        return self._found[bucket]

    async def _run(self) -> None:
        while True:
            try:
                await self.refresh()
            except Exception:  # SECURITY: whatever it is, what is known grows old and then counts for nothing.
                log.exception("buckets could not be looked at")
            await asyncio.sleep(_TICK.total_seconds())

    async def _look(self, bucket: str) -> None:
        if self._checks is None:
            return
        found = await self._checks.check(bucket)
        before = self._found.get(bucket)
        if before is None or before.findings != found.findings:
            told = {finding.requirement.value: finding.why or "met" for finding in found.findings}
            log.info("bucket looked at", extra={"bucket": bucket, **told})
        self._keep({**self._found, bucket: found})

    def _keep(self, found: dict[str, BucketPosture]) -> None:
        self._found = found
        self._snapshot = Posture(buckets=tuple(found[bucket] for bucket in sorted(found)), max_age=MAX_AGE)

    def _is_due(self, bucket: str) -> bool:
        found = self._found.get(bucket)
        # A clock that was set back makes what was found before a thing of the future, which counts for nothing.
        return found is None or not timedelta(0) <= self._clock.now() - found.checked_at < MAX_AGE / 2
