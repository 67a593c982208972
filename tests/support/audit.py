"""Audit records for tests, and a disk that keeps a diary and fails on demand."""

from __future__ import annotations

import errno
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from penstock_server.audit.disk import SystemDisk
from penstock_server.model.audit import AuditRecord, Event, Outcome
from penstock_server.model.decision import PolicyVersion

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def audit_record(
    name: str = "r",
    *,
    event: Event = Event.QUERY_ADMITTED,
    details: tuple[tuple[str, str], ...] = (),
    at: datetime = NOW,
) -> AuditRecord:
    """Give a record that `name` tells from others."""
    return AuditRecord(
        event=event,
        outcome=Outcome.ALLOWED,
        occurred_at=at,
        request_id=name,
        issuer="https://login.test",
        subject="7",
        username="alice",
        resources=("lake.nyc.flights",),
        policy_version=PolicyVersion("v1"),
        reason="",
        details=details,
    )


@dataclass
class DiaryDisk(SystemDisk):
    """The real disk; `diary` keeps the order of calls, `full` makes writes fail, `hold` keeps syncs waiting."""

    diary: list[str] = field(default_factory=list)
    full: bool = False
    broken: bool = False
    free: int | None = None
    hold: threading.Event | None = None
    syncing: threading.Event = field(default_factory=threading.Event)

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        self.diary.append("write")
        if self.full:
            super().write(descriptor, data[: len(data) // 2], offset)
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(descriptor, data, offset)

    def truncate(self, descriptor: int, size: int) -> None:
        self.diary.append("truncate")
        super().truncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        self.syncing.set()
        if self.hold is not None:
            self.hold.wait(20)
        if self.broken:
            raise OSError(errno.EIO, "Input/output error")
        super().sync(descriptor)
        self.diary.append("synced")

    def sync_folder(self, folder: Path) -> None:
        super().sync_folder(folder)
        self.diary.append("folder synced")

    def free_bytes(self, folder: Path) -> int:
        return super().free_bytes(folder) if self.free is None else self.free
