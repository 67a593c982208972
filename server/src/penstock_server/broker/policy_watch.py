"""Notices that policy files have changed, by looking at them again and again: it works on every file system."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Final

from penstock_server.broker.reloading import Cause, PolicyLoader
from penstock_server.policy.reading.file_trees import DiskDigests

log = logging.getLogger(__name__)

POLL: Final = timedelta(seconds=1)
"""How often files are looked at. A change is loaded once two looks after each other find the same."""

_LONGEST_PAUSE_SECONDS: Final = 60.0


class PolicyWatch:
    """Asks for a reload when what the files hold is not what the last load read, and has come to rest."""

    def __init__(self, loader: PolicyLoader, digests: DiskDigests, *, poll: timedelta = POLL) -> None:
        self._loader = loader
        self._digests = digests
        self._poll_seconds = poll.total_seconds()
        self._fruitless = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look; after the first load."""
        self._task = asyncio.create_task(self._watch(), name="policy watch")

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _watch(self) -> None:
        seen: bytes | None = None
        pause = self._poll_seconds
        while True:
            await asyncio.sleep(pause)
            pause = self._poll_seconds
            found = await self._look()
            if found is not None and (found == self._loader.files.digest or found != seen):
                # As loaded, or changed since the last look: somebody may still be writing.
                seen = found
                continue
            outcome = await self._loader.reload(Cause.FILES)
            if outcome.failed and not outcome.lasting:
                # Not the files' fault, so it is tried again, but ever less often.
                pause = self._next_pause()
            else:
                self._fruitless = 0

    async def _look(self) -> bytes | None:
        """Give what the files hold; None where they cannot be looked at, which the load that follows tells everywhere.

        SECURITY: whatever goes wrong must not end the watch: a policy that takes something away would never be loaded.
        """
        try:
            return await asyncio.to_thread(self._digests.digest, self._loader.files.rules_files)
        except Exception:
            log.exception("policy files cannot be looked at")
            return None

    def _next_pause(self) -> float:
        self._fruitless += 1
        return min(self._poll_seconds * 2.0 ** min(self._fruitless, 10), _LONGEST_PAUSE_SECONDS)
