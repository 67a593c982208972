"""Sign-ins in files of mode 0600, in a folder of mode 0700."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from penstock.login.errors import SignInFailed
from penstock.login.sessions import Session, cache_folder, name_of, session_from_json

_MAX_BYTES: Final = 256 * 1024


class SessionFiles:
    """Keeps each sign-in in a file of its own; a file that others could have written or read is not used."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or cache_folder() / "sessions"

    def load(self, profile: str, server: str) -> Session | None:
        """Give the sign-in, None where there is none that can be trusted."""
        try:
            # SECURITY: a link planted here would have us read, and later replace, a file of somebody else's choice.
            descriptor = os.open(self._path(profile, server), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            state = os.fstat(file.fileno())
            if state.st_uid != os.geteuid() or not stat.S_ISREG(state.st_mode) or state.st_mode & 0o077:
                return None
            raw = file.read(_MAX_BYTES)
        return session_from_json(raw.decode("utf-8", "replace"), profile=profile, server=server)

    def save(self, session: Session) -> None:
        """Write the file beside the old one and put it in its place: a reader sees one or the other, whole.

        Raises:
            SignInFailed: the folder cannot be made, written, or belongs to somebody else.
        """
        folder = self._own_folder()
        fresh = folder / f".{secrets.token_hex(8)}"
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(session.to_json().encode())
            fresh.replace(self._path(session.profile, session.server))
        except OSError as problem:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise SignInFailed(f"`{folder}` cannot be written ({type(problem).__name__})") from None

    def forget(self, profile: str, server: str) -> None:
        """Remove the file, if there is one."""
        with suppress(FileNotFoundError, NotADirectoryError):
            self._path(profile, server).unlink()

    def _path(self, profile: str, server: str) -> Path:
        return self._folder / f"{name_of(profile, server)}.json"

    def _own_folder(self) -> Path:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            state = self._folder.lstat()
            if stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid():
                # The mode of mkdir is cut by the umask, and does not touch a folder that was there.
                self._folder.chmod(0o700)
                return self._folder
        except OSError as problem:
            raise SignInFailed(f"`{self._folder}` cannot be used ({type(problem).__name__})") from None
        raise SignInFailed(f"`{self._folder}` is not a folder of this user")


@contextmanager
def exclusive(profile: str, server: str, *, folder: Path | None = None) -> Iterator[None]:
    """Hold the sign-in of a profile and server against other processes of this user.

    Two processes that renew at once would spend one refresh token twice, which providers take for theft.

    Raises:
        SignInFailed: the folder cannot be used.
    """
    folder = folder or cache_folder() / "sessions"
    name = folder / f"{name_of(profile, server)}.lock"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise SignInFailed(f"`{folder}` cannot be used ({type(problem).__name__})") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
