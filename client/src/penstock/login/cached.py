"""An access token that is fresh whenever it is asked for."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from penstock.login.discovery import discover
from penstock.login.errors import NotSignedIn
from penstock.login.session_files import exclusive
from penstock.login.session_keyring import default_sessions
from penstock.login.sessions import Session, Sessions
from penstock.login.tokens import Tokens, refresh
from penstock.login.web import Web

_MARGIN_SECONDS: Final = 60.0


class Cached:
    """Gives the access token of a kept sign-in, renewed where it is about to expire.

    `profile` defaults to `PENSTOCK_PROFILE`, then `default`; `server` to `PENSTOCK_SERVER`. Safe to call from many
    threads, and beside other processes. Blocking: a renewal asks the identity provider.
    """

    def __init__(
        self,
        *,
        profile: str | None = None,
        server: str | None = None,
        ca: Path | None = None,
        sessions: Sessions | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._profile = profile or os.environ.get("PENSTOCK_PROFILE") or "default"
        self._server = server or os.environ.get("PENSTOCK_SERVER")
        self._ca = ca
        self._sessions = sessions or default_sessions()
        self._now = now
        self._lock = threading.Lock()
        self._tokens: Tokens | None = None

    def for_server(self, server: str) -> Cached:
        """Give the same for a server, where none was named yet."""
        if self._server is not None:
            return self
        return Cached(profile=self._profile, server=server, ca=self._ca, sessions=self._sessions, now=self._now)

    def __call__(self) -> str:
        """Give an access token that is good for another minute.

        Raises:
            NotSignedIn: there is no sign-in, or it has ended.
            SignInFailed: the provider cannot be asked for a renewal.
        """
        return self.lasting(_MARGIN_SECONDS)

    def lasting(self, seconds: float) -> str:
        """Give an access token that is good for so many seconds, if the provider gives such at all.

        Raises:
            NotSignedIn: there is no sign-in, or it has ended.
            SignInFailed: the provider cannot be asked for a renewal.
        """
        with self._lock:
            if self._tokens is None or not self._good(self._tokens, seconds):
                self._tokens = self._kept(seconds)
            return self._tokens.access_token

    def _good(self, tokens: Tokens, seconds: float) -> bool:
        return tokens.expires_at - self._now() > seconds

    def _kept(self, seconds: float) -> Tokens:
        server = self._server
        if server is None:
            raise NotSignedIn("no server is named: give `server`, or set PENSTOCK_SERVER")
        session = self._load(server)
        if self._good(session.tokens, seconds):
            return session.tokens
        with exclusive(self._profile, server):
            # Another process may have renewed it while this one waited.
            session = self._load(server)
            if not self._good(session.tokens, seconds):
                session = self._renewed(session)
            return session.tokens

    def _load(self, server: str) -> Session:
        session = self._sessions.load(self._profile, server)
        if session is None:
            raise NotSignedIn(
                f"profile `{self._profile}` is not signed in at `{server}`: run `penstock login {server}`"
            )
        return session

    def _renewed(self, session: Session) -> Session:
        web = Web(ca=self._ca)
        provider = discover(session.metadata.issuer, web)
        tokens = refresh(provider, session.metadata, session.tokens, web, now=self._now())
        renewed = Session(profile=session.profile, server=session.server, metadata=session.metadata, tokens=tokens)
        self._sessions.save(renewed)
        return renewed
