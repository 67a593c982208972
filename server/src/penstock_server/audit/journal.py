"""Appends records to the trail, a batch at a time; blocking, one thread at a time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from penstock_server.audit.canonical import EncodedRecord, chain, encode
from penstock_server.audit.disk import Disk
from penstock_server.audit.lock import FolderLock
from penstock_server.audit.recovery import End, Torn, find_end
from penstock_server.audit.segments import SEGMENT_BYTES, Segment, segment_path
from penstock_server.audit.verification import BrokenChain
from penstock_server.errors import ConfigurationError
from penstock_server.model.audit import AuditRecord, Event, Outcome


class Journal:
    """The open end of a trail.

    INVARIANT: `sequence`, `digest` and the offset move only after a sync has succeeded, so what was acknowledged stands
    below the offset, and what was not is written over or cut.
    """

    def __init__(self, folder: Path, lock: FolderLock, disk: Disk, end: End, *, segment_bytes: int) -> None:
        self.folder = folder
        self.sequence = end.sequence
        self.digest = end.digest
        self._lock = lock
        self._disk = disk
        self._segment_bytes = segment_bytes
        self._segment = end.segment
        self._offset = end.offset
        self._descriptor: int | None = None
        self._dirty = True  # bytes may stand behind the offset

    @classmethod
    def open(cls, folder: Path, *, now: datetime, disk: Disk, segment_bytes: int = SEGMENT_BYTES) -> Journal:
        """Take the folder, find the end of its chain, and cut what a crash left unfinished.

        A cut is recorded as `audit.recovered` before this returns.

        Raises:
            ConfigurationError: another process holds the folder, the chain is broken, or the folder cannot be written.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FolderLock.acquire(folder)
        except OSError as error:
            raise ConfigurationError((f"{folder}: cannot be written: {error.strerror}",)) from error
        try:
            end = find_end(folder)
            journal = cls(folder, lock, disk, end, segment_bytes=segment_bytes)
            if end.torn is not None:
                journal.append((encode(_recovered(end.torn, now)),))
        except BrokenChain as error:
            lock.release()
            hint = "the audit trail was damaged; keep it as evidence and set another `audit.path`"
            raise ConfigurationError((f"{error}; {hint}",)) from error
        except OSError as error:
            lock.release()
            raise ConfigurationError((f"{folder}: cannot be used: {error.strerror}",)) from error
        return journal

    def append(self, records: Sequence[EncodedRecord]) -> None:
        """Append records; on return all of them are on stable storage, on an error none of them counts.

        Raises:
            OSError: the disk is full or broken; the next call begins by cutting what this one left.
        """
        sequence, digest = self.sequence, self.digest
        written = bytearray()
        for record in records:
            link = chain(record, sequence=sequence + 1, previous=digest)
            sequence, digest = link.sequence, link.digest
            written += link.line
        descriptor = self._ready()
        self._dirty = True
        self._disk.write(descriptor, bytes(written), self._offset)
        self._disk.sync(descriptor)
        self._dirty = False
        self._offset += len(written)
        self.sequence, self.digest = sequence, digest

    def free_bytes(self) -> int:
        """Give the bytes that may still be written. Raises OSError."""
        return self._disk.free_bytes(self.folder)

    def close(self) -> None:
        """Close the file and give the folder free."""
        self._close_segment()
        self._lock.release()

    def _ready(self) -> int:
        """Give the open segment, cut to what was acknowledged; begins a new one where the last is large enough."""
        if self._segment is not None and self._offset >= self._segment_bytes:
            self._close_segment()
            self._segment = None
        if self._segment is None:
            first = self.sequence + 1
            self._segment, self._offset = Segment(first=first, path=segment_path(self.folder, first)), 0
        if self._descriptor is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self._segment.path, flags, 0o600)
            self._dirty = True
        if self._dirty:
            self._disk.truncate(self._descriptor, self._offset)
            self._disk.sync_folder(self.folder)
        return self._descriptor

    def _close_segment(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _recovered(torn: Torn, now: datetime) -> AuditRecord:
    return AuditRecord(
        event=Event.AUDIT_RECOVERED,
        outcome=Outcome.ALLOWED,
        occurred_at=now,
        request_id="",
        issuer="",
        subject="",
        username="",
        resources=(),
        policy_version=None,
        reason="an unfinished record at the end was cut",
        details=(
            ("segment", torn.segment),
            ("offset", str(torn.offset)),
            ("bytes", str(torn.size)),
            ("sha256", torn.sha256),
        ),
    )
