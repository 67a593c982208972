"""The audit trail as the service uses it: many wait, one batch is synced, all go on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock_server.audit.canonical import EncodedRecord, encode
from penstock_server.audit.disk import Disk, SystemDisk
from penstock_server.audit.journal import Journal
from penstock_server.audit.reading import read_entries
from penstock_server.errors import Reason, Unavailable
from penstock_server.model.audit import AuditCheckpoint, AuditEntry, AuditRecord, Event
from penstock_server.model.clock import Clock

log = logging.getLogger(__name__)

MAX_WAITING: Final = 10_000
"""Records that may wait for a sync; past it the service says that it is unavailable."""

RESERVE_BYTES: Final = 64 * 1024 * 1024
"""Free space that is kept for the records of authenticated callers."""

_MAX_BATCH: Final = 1_000
_RETRY_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    record: EncodedRecord
    synced: asyncio.Future[None]


class AuditLog:
    """Appends records and reads them back: both `AuditSink` and `AuditReader`. Belongs to one event loop.

    Group commit: while one batch is being synced the next one gathers, so many callers share one sync. After a failure
    the service stays shut to whatever needs a record; each record tries the disk anew, so it opens by itself.
    """

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="audit")
        self._closed = False
        self._failing = False

    @classmethod
    def open(cls, path: Path, clock: Clock, *, disk: Disk | None = None) -> AuditLog:
        """Open a folder, which is made if need be; blocking, before the service answers anybody.

        Raises:
            ConfigurationError: another process holds it, its chain is broken, or it cannot be written.
        """
        return cls(Journal.open(path, now=clock.now(), disk=disk or SystemDisk()), clock)

    async def record(self, record: AuditRecord) -> None:
        """Append and sync one record; on return it is on stable storage.

        A caller that is cancelled meanwhile leaves its record to be written all the same.

        Raises:
            Unavailable: the record is not durable (`AUDIT_UNAVAILABLE`); the caller must not answer.
        """
        self._admit(record)
        try:
            encoded = encode(record)  # here, so that a record that cannot be written fails alone
        except (ValueError, TypeError) as error:
            raise _unavailable(f"the record cannot be written: {error}") from error
        waiting = _Waiting(record=encoded, synced=asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="audit", context=Context())
        await waiting.synced

    async def entries(self, *, after: int, limit: int) -> Sequence[AuditEntry]:
        """Give up to `limit` entries with a sequence greater than `after`, oldest first, among the durable ones.

        Raises:
            Unavailable: the trail cannot be read, or has been changed.
        """
        up_to = self._journal.sequence
        try:
            return await asyncio.to_thread(read_entries, self._journal.folder, after=after, up_to=up_to, limit=limit)
        except (OSError, ValueError) as error:
            log.exception("the audit trail cannot be read")
            raise _unavailable(f"the audit trail cannot be read: {error}") from error

    async def checkpoint(self) -> AuditCheckpoint:
        """Give the end of the chain: what is durable now."""
        return AuditCheckpoint(
            sequence=self._journal.sequence, digest=self._journal.digest, occurred_at=self._clock.now()
        )

    async def close(self) -> None:
        """Sync what waits, refuse what comes, and give the folder free; closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        while self._writer is not None:
            await asyncio.wait((self._writer,))
        self._thread.shutdown()
        self._journal.close()

    def _admit(self, record: AuditRecord) -> None:
        if self._closed:
            raise _unavailable("the audit trail is closed")
        unauthenticated = record.event is Event.AUTHENTICATION_REFUSED
        if len(self._waiting) >= (MAX_WAITING // 2 if unauthenticated else MAX_WAITING):
            raise _unavailable("too many records wait for the disk")
        # SECURITY: anybody can make these records without a token; they must not fill the disk for those with one.
        if unauthenticated and self._free_bytes() < RESERVE_BYTES:
            raise _unavailable("the rest of the disk is kept for the records of authenticated callers")

    def _free_bytes(self) -> int:
        try:
            return self._journal.free_bytes()
        except OSError:
            return 0

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MAX_BATCH], self._waiting[_MAX_BATCH:]
                await self._write_batch(batch)
        finally:
            self._writer = None

    async def _write_batch(self, batch: list[_Waiting]) -> None:
        records = [waiting.record for waiting in batch]
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._journal.append, records)
        except asyncio.CancelledError:
            self._fail([*batch, *self._waiting], "the service stops")
            self._waiting.clear()
            raise
        except Exception as error:  # noqa: BLE001 - whatever went wrong, nothing was acknowledged
            self._fail(batch, repr(error))
        else:
            self._settle(batch)

    def _settle(self, batch: list[_Waiting]) -> None:
        if self._failing:
            self._failing = False
            log.warning("the audit trail can be written again")
        for waiting in batch:
            if not waiting.synced.done():
                waiting.synced.set_result(None)

    def _fail(self, batch: list[_Waiting], detail: str) -> None:
        if not self._failing:
            self._failing = True
            log.error("the audit trail cannot be written; nothing is answered until it can", extra={"detail": detail})
        for waiting in batch:
            if not waiting.synced.done():
                waiting.synced.set_exception(_unavailable(f"the record is not durable: {detail}"))


def _unavailable(detail: str) -> Unavailable:
    return Unavailable(
        Reason.AUDIT_UNAVAILABLE,
        "the audit trail is unavailable",
        retry_after_seconds=_RETRY_SECONDS,
        hint="try again later; the operator of this service has to mend it",
        detail=detail,
    )
