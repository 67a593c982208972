"""Sign-ins in the desktop's keyring, where the package `keyring` is installed and has one."""

from __future__ import annotations

import importlib
from contextlib import suppress
from typing import Any, Final

from penstock.login.errors import SignInFailed
from penstock.login.session_files import SessionFiles
from penstock.login.sessions import Session, Sessions, name_of, session_from_json

_SERVICE: Final = "penstock"


def default_sessions() -> Sessions:
    """Give the keyring where there is one that works, otherwise files."""
    try:
        keyring = importlib.import_module("keyring")
        # keyring's own measure: below 1 are the backends that fail, store nothing or store in plain text.
        usable = keyring.get_keyring().priority >= 1
    except Exception:  # noqa: BLE001 - backends raise what they like, and a file always works
        usable, keyring = False, None
    return SessionKeyring(keyring) if usable else SessionFiles()


class SessionKeyring:
    """Keeps each sign-in as one secret of the service `penstock`."""

    def __init__(self, keyring: Any) -> None:  # noqa: ANN401 - an optional package without types
        self._keyring = keyring

    def load(self, profile: str, server: str) -> Session | None:
        """Give the sign-in, None where there is none."""
        try:
            text = self._keyring.get_password(_SERVICE, name_of(profile, server))
        except Exception:  # noqa: BLE001 - a keyring that is locked or gone: not signed in
            return None
        return session_from_json(text, profile=profile, server=server) if isinstance(text, str) else None

    def save(self, session: Session) -> None:
        """Keep the sign-in.

        Raises:
            SignInFailed: the keyring refuses.
        """
        try:
            self._keyring.set_password(_SERVICE, name_of(session.profile, session.server), session.to_json())
        except Exception as problem:  # noqa: BLE001 - backends raise what they like
            raise SignInFailed(f"the keyring refuses ({type(problem).__name__})") from None

    def forget(self, profile: str, server: str) -> None:
        """Remove the sign-in, if there is one."""
        with suppress(Exception):
            self._keyring.delete_password(_SERVICE, name_of(profile, server))
