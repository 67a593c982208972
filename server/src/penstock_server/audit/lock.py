"""One process at a time appends to a folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from penstock_server.errors import ConfigurationError


class FolderLock:
    """Holds a folder until `release`, or until the process ends, however it ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, folder: Path) -> FolderLock:
        """Take the lock or fail at once.

        Raises:
            ConfigurationError: another process holds the folder.
            OSError: the lock file cannot be made.
        """
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            # A lock on the open file, not on the process: it goes with the descriptor, and a child that a fork leaves
            # without it cannot release it by closing another descriptor of the file.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise ConfigurationError(
                (f"{folder}: another process writes this audit trail; stop it, or set another `audit.path`",)
            ) from None
        except OSError:
            os.close(descriptor)
            raise
        return cls(descriptor)

    def release(self) -> None:
        """Give the folder free."""
        os.close(self._descriptor)
