"""What the trail asks of the disk, as a port: the order of these calls is what makes a record durable."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class Disk(Protocol):
    """Writes and syncs; every method raises OSError."""

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """Write all of `data` at `offset`."""
        ...

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file to `size` bytes."""
        ...

    def sync(self, descriptor: int) -> None:
        """Return once data and size of the file are on stable storage."""
        ...

    def sync_folder(self, folder: Path) -> None:
        """Return once the names in the folder are on stable storage."""
        ...

    def free_bytes(self, folder: Path) -> int:
        """Give the bytes that may still be written there."""
        ...


class SystemDisk:
    """The disk of this machine."""

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """Write all of `data` at `offset`."""
        view = memoryview(data)
        while view:
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file to `size` bytes."""
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        """Return once data and size of the file are on stable storage."""
        os.fdatasync(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """Return once the names in the folder are on stable storage."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def free_bytes(self, folder: Path) -> int:
        """Give the bytes that may still be written there."""
        status = os.statvfs(folder)
        return status.f_bavail * status.f_frsize
