"""What goes on in the background of leases: the revocation document, the audit of revocations, and cleaning up.

Everything is level-triggered: each turn looks at the state alone, so that it does not matter whether a revocation was
asked for by a call, by a re-check, by the command line in another process, or before a restart.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from penstock_server.broker.service_records import ServiceRecords
from penstock_server.credentials.requests import NOT_REVOCABLE
from penstock_server.credentials.revocation_writing import RevocationWriting
from penstock_server.errors import PenstockError
from penstock_server.model.clock import Clock
from penstock_server.model.lease import Generation, Revocation
from penstock_server.model.ports import RevocationStore

log = logging.getLogger(__name__)

LOOKS_EVERY_SECONDS: Final = 1.0
RETRIES_AFTER_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
CLEANS_EVERY_SECONDS: Final = 60.0
"""On the average; half of it is left to chance, so that replicas do not clean together."""


class Housekeeping(Protocol):
    """The leases, as far as they are cleaned up."""

    async def clean(self) -> None:
        """Let ended leases go. Raises Unavailable."""
        ...


class Floors(Protocol):
    """The floors of tokens, as far as they are read again."""

    async def reread(self) -> None:
        """Take up floors that somebody else has raised. Raises Unavailable."""
        ...


class Rechecks(Protocol):
    """Live leases, as far as they are looked at anew."""

    async def turn(self) -> int:
        """Revoke what the policy would not give any more, and give how many. Raises Unavailable."""
        ...


class RevocationKeeper:
    """Runs the turns; `writing` is None where no revocation is configured. `chance` gives numbers from 0 to 1."""

    def __init__(
        self,
        *,
        store: RevocationStore,
        leases: Housekeeping,
        floors: Floors,
        writing: RevocationWriting | None,
        records: ServiceRecords,
        clock: Clock,
        holder: str,
        chance: Callable[[], float],
    ) -> None:
        self._store = store
        self._leases = leases
        self._floors = floors
        self._rechecks: Rechecks | None = None
        self._writing = writing
        self._records = records
        self._clock = clock
        self._holder = holder
        self._chance = chance
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._turned = asyncio.Condition()
        self._seen: Generation | None = None
        self._failures = 0
        self._retry_at = 0.0
        self._clean_at = 0.0

    def start(self, rechecks: Rechecks) -> None:
        """Begin; the first turn comes at once."""
        self._rechecks = rechecks
        self._task = asyncio.create_task(self._run(), name="revocations")

    async def close(self) -> None:
        """End the turns, and let another process write."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        with suppress(PenstockError):
            await self._store.release_writer(self._holder)

    def wake(self) -> None:
        """Take the next turn at once: something was revoked."""
        self._retry_at = 0.0
        self._wake.set()

    def revocable(self, role: str) -> str:
        """Say in words whether a session of a role can be revoked now."""
        return NOT_REVOCABLE if self._writing is None else self._writing.revocable(role)

    def holds(self, generation: Generation) -> bool:
        """Tell whether AWS was seen to hold the revocations up to a generation."""
        return self._writing is not None and self._writing.generation >= generation

    async def written(self, generation: Generation, *, seconds: float) -> bool:
        """Wait until AWS holds the revocations up to a generation, for so long; False where it does not yet."""
        if self._writing is None:
            return False
        try:
            async with asyncio.timeout(seconds), self._turned:
                await self._turned.wait_for(lambda: self.holds(generation))
        except TimeoutError:
            return False
        return True

    async def turn(self) -> None:
        """Do once what is due. Never raises an error of ours: the next turn tries again."""
        try:
            if self._rechecks is not None:
                await self._rechecks.turn()
            generation, entries = await self._store.entries()
            if generation != self._seen:
                await self._floors.reread()
                self._seen = generation
        except PenstockError as error:
            log.error("revocations cannot be read", extra={"detail": error.detail or error.message})  # noqa: TRY400
            return
        await self._write(generation, entries)
        async with self._turned:
            self._turned.notify_all()
        await self._record()
        await self._clean()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self.turn()
            except Exception:  # a fault in one turn must not end all revocation
                log.exception("a turn of revocations failed by a fault of ours")
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOKS_EVERY_SECONDS):
                    await self._wake.wait()

    async def _write(self, generation: Generation, entries: Sequence[Revocation]) -> None:
        writing = self._writing
        if writing is None or self._clock.monotonic() < self._retry_at:
            return
        try:
            if await writing.turn(generation, entries):
                width = writing.width
                await self._records.revocations_written(generation, len(entries), "" if width is None else width.name)
            self._failures = 0
        except PenstockError as error:
            pause = RETRIES_AFTER_SECONDS[min(self._failures, len(RETRIES_AFTER_SECONDS) - 1)]
            self._failures += 1
            self._retry_at = self._clock.monotonic() + pause * (0.5 + self._chance())
            detail = error.detail or error.message
            log.error("the revocation document cannot be written", extra={"detail": detail})  # noqa: TRY400

    async def _record(self) -> None:
        """Put into the audit what was revoked outside of this service's calls."""
        try:
            for revocation in await self._store.unrecorded():
                await self._records.revoked(revocation)
                await self._store.note_recorded(revocation.generation)
        except PenstockError as error:
            log.error("revocations are not in the audit yet", extra={"detail": error.detail})  # noqa: TRY400

    async def _clean(self) -> None:
        now = self._clock.monotonic()
        if now < self._clean_at:
            return
        self._clean_at = now + CLEANS_EVERY_SECONDS * (0.5 + self._chance())
        try:
            await self._leases.clean()
        except PenstockError as error:
            log.warning("ended leases are not cleaned up", extra={"detail": error.detail})
