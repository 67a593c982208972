"""Sessions in the desktop's keyring: one secret for each profile at a server, which a sign-out removes as a whole."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from penstock.delivery.cache_files import SessionCacheFiles, hold, runtime_folder
from penstock.delivery.kept import CacheRefused, KeptSession, SessionCache, SessionKey, kept_from_json
from penstock.login.sessions import cache_folder

_SERVICE: Final = "penstock-aws"
_MOST_SESSIONS: Final = 32
_LOCK_SECONDS: Final = 75.0


def default_cache(environment: Mapping[str, str]) -> SessionCache | None:
    """Give the keyring where there is one that works, otherwise files on `$XDG_RUNTIME_DIR`, None where neither is."""
    try:
        keyring = importlib.import_module("keyring")
        # keyring's own measure: below 1 are the backends that fail, store nothing or store in plain text.
        usable = keyring.get_keyring().priority >= 1
    except Exception:  # noqa: BLE001 - backends raise what they like, and there are files
        usable, keyring = False, None
    if usable:
        return SessionCacheKeyring(keyring)
    runtime = runtime_folder(environment)
    return None if runtime is None else SessionCacheFiles(runtime)


class SessionCacheKeyring:
    """Keeps the sessions of a profile at a server as one secret of the service `penstock-aws`."""

    def __init__(self, keyring: Any, *, locks: Path | None = None) -> None:  # noqa: ANN401 - without types
        self._keyring = keyring
        self._locks = locks or cache_folder() / "aws-locks"

    def load(self, key: SessionKey) -> KeptSession | None:
        """Give the session, None where there is none."""
        text = self._sessions(key.group).get(key.digest)
        return None if text is None else kept_from_json(text, key)

    def save(self, key: SessionKey, kept: KeptSession) -> None:
        """Keep the session beside those of the same profile that have not ended, the newest 32.

        Raises:
            CacheRefused: the keyring refuses.
        """
        others = {name: text for name, text in self._sessions(key.group).items() if _lives(name, text, key.group)}
        others.pop(key.digest, None)
        newest = dict([*others.items(), (key.digest, kept.to_json(key))][-_MOST_SESSIONS:])
        try:
            self._keyring.set_password(_SERVICE, key.group, json.dumps(newest))
        except Exception as problem:  # noqa: BLE001 - backends raise what they like
            raise CacheRefused(f"the keyring refuses ({type(problem).__name__})", reason="CACHE") from None

    def forget(self, key: SessionKey) -> None:
        """Remove the session, if there is one."""
        sessions = self._sessions(key.group)
        if sessions.pop(key.digest, None) is not None:
            with suppress(Exception):
                self._keyring.set_password(_SERVICE, key.group, json.dumps(sessions))

    def wipe(self, group: str) -> None:
        """Remove the secret of a profile at a server."""
        with suppress(Exception):
            self._keyring.delete_password(_SERVICE, group)

    @contextmanager
    def exclusive(self, key: SessionKey) -> Iterator[None]:
        """Hold the sessions of a profile against other processes: they are one secret, written as a whole.

        Raises:
            CacheRefused: the lock's folder cannot be written.
        """
        try:
            self._locks.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self._locks / f"lock-{key.group[:2]}", flags, 0o600)
        except OSError as problem:
            raise CacheRefused(f"`{self._locks}` cannot be used ({type(problem).__name__})", reason="CACHE") from None
        try:
            hold(descriptor, seconds=_LOCK_SECONDS)
            yield
        finally:
            os.close(descriptor)

    def _sessions(self, group: str) -> dict[str, str]:
        try:
            members = json.loads(self._keyring.get_password(_SERVICE, group) or "{}")
        except Exception:  # noqa: BLE001 - a keyring that is locked or gone keeps nothing
            return {}
        if not isinstance(members, dict):
            return {}
        return {name: text for name, text in members.items() if isinstance(text, str)}


def _lives(digest: str, text: str, group: str) -> bool:
    kept = kept_from_json(text, SessionKey(group=group, digest=digest))
    return kept is not None and kept.usable(datetime.now(UTC))
