"""Sessions in files of mode 0600, in a folder of mode 0700 on `$XDG_RUNTIME_DIR`: memory that ends with the login.

SECURITY: every name is opened below a folder that was opened and checked, so that nobody can put another in its place
in between; a folder or file of another owner, that others may read or write, or that is a link, is not used
(tests/unit/delivery/test_cache_files.py).
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from penstock.delivery.kept import CacheRefused, KeptSession, SessionKey, kept_from_json

_FOLDER: Final = "penstock-aws"
_MAX_BYTES: Final = 256 * 1024
_OLDEST_SECONDS: Final = 12 * 3600.0
"""AWS: no session lives longer."""

_LOCK_SECONDS: Final = 75.0
_POLL_SECONDS: Final = 0.02
_OPEN_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def runtime_folder(environment: Mapping[str, str]) -> Path | None:
    """Give `$XDG_RUNTIME_DIR`, None where there is none. The XDG specification has relative paths ignored."""
    named = environment.get("XDG_RUNTIME_DIR", "")
    return Path(named) if named.startswith("/") else None


class SessionCacheFiles:
    """Keeps each session in a file of its own below the runtime folder."""

    def __init__(self, runtime: Path, *, lock_seconds: float = _LOCK_SECONDS) -> None:
        self._runtime = runtime
        self._lock_seconds = lock_seconds

    def load(self, key: SessionKey) -> KeptSession | None:
        """Give the session, None where there is none that can be trusted. Raises CacheRefused for the folder."""
        with self._folder() as folder:
            try:
                # A pipe planted here would hold up whoever opens it.
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                descriptor = os.open(_name(key), flags, dir_fd=folder)
            except OSError:
                return None
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode) or not _private(state) or state.st_nlink != 1:
                os.close(descriptor)
                return None
            with os.fdopen(descriptor, "rb") as file:
                raw = file.read(_MAX_BYTES)
        return kept_from_json(raw.decode("utf-8", "replace"), key)

    def save(self, key: SessionKey, kept: KeptSession) -> None:
        """Write the file beside the old one and put it in its place; remove what has long expired.

        Raises:
            CacheRefused: the folder cannot be trusted or written.
        """
        with self._folder() as folder:
            fresh = f".{secrets.token_hex(8)}"
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                with os.fdopen(os.open(fresh, flags, 0o600, dir_fd=folder), "wb") as file:
                    file.write(kept.to_json(key).encode("utf-8"))
                os.replace(fresh, _name(key), src_dir_fd=folder, dst_dir_fd=folder)
            except OSError as problem:
                with suppress(OSError):
                    os.unlink(fresh, dir_fd=folder)
                raise self._refused(f"cannot be written ({type(problem).__name__})") from None
            _prune(folder)

    def forget(self, key: SessionKey) -> None:
        """Remove the file, if there is one."""
        with suppress(CacheRefused), self._folder() as folder, suppress(OSError):
            os.unlink(_name(key), dir_fd=folder)

    def wipe(self, group: str) -> None:
        """Remove all files of a profile at a server."""
        with suppress(CacheRefused), self._folder() as folder:
            for name in os.listdir(folder):
                if name.startswith(f"{group}-"):
                    with suppress(OSError):
                        os.unlink(name, dir_fd=folder)

    @contextmanager
    def exclusive(self, key: SessionKey) -> Iterator[None]:
        """Hold a session against other processes. Whoever waited a minute goes on: the holder may be suspended.

        Raises:
            CacheRefused: the folder cannot be trusted or written.
        """
        with self._folder() as folder:
            try:
                # A lock for many sessions: their number is bounded, and none has to be removed.
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                descriptor = os.open(f"lock-{key.digest[:2]}", flags, 0o600, dir_fd=folder)
            except OSError as problem:
                raise self._refused(f"cannot be written ({type(problem).__name__})") from None
        try:
            hold(descriptor, seconds=self._lock_seconds)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _folder(self) -> Iterator[int]:
        descriptor = self._open_folder()
        try:
            if not _private(os.fstat(descriptor)):
                raise self._refused("is not a folder that this user alone can use")
            yield descriptor
        finally:
            os.close(descriptor)

    def _open_folder(self) -> int:
        try:
            root = os.open(self._runtime, _OPEN_FOLDER)
        except OSError as problem:
            raise self._refused(f"cannot be used ({type(problem).__name__})") from None
        try:
            if not _private(os.fstat(root)):
                raise self._refused("is not a folder that this user alone can use")
            with suppress(FileExistsError):
                os.mkdir(_FOLDER, 0o700, dir_fd=root)
            return os.open(_FOLDER, _OPEN_FOLDER, dir_fd=root)
        except OSError as problem:
            raise self._refused(f"cannot be used ({type(problem).__name__})") from None
        finally:
            os.close(root)

    def _refused(self, why: str) -> CacheRefused:
        return CacheRefused(
            f"the cache of AWS sessions below `{self._runtime}` {why}",
            reason="CACHE",
            hint="set XDG_RUNTIME_DIR to a folder of yours with mode 0700, or unset it to go without a cache",
        )


def hold(descriptor: int, *, seconds: float) -> None:
    """Take the lock of an open file, or go on without it after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return
            time.sleep(_POLL_SECONDS)
        else:
            return


def _name(key: SessionKey) -> str:
    return f"{key.group}-{key.digest}.json"


def _private(state: os.stat_result) -> bool:
    return state.st_uid == os.geteuid() and not state.st_mode & 0o077


def _prune(folder: int) -> None:
    oldest = time.time() - _OLDEST_SECONDS
    for name in os.listdir(folder):
        with suppress(OSError):
            old = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime < oldest
            if old and not name.startswith("lock-"):
                os.unlink(name, dir_fd=folder)
