"""AWS sessions for the commands that hand them on: from the cache, or from the server."""

from __future__ import annotations

import inspect
import os
import time
from typing import cast

from penstock import login
from penstock.cli.connecting import Connection
from penstock.cli.screen import messages, shown
from penstock.credentials import AwsCredentials
from penstock.delivery import CacheRefused, SessionKey, SessionRequest, TokenHolder, cached_session, holder_of
from penstock.delivery.cache_keyring import default_cache
from penstock.delivery.kept import group_of
from penstock.login import NotSignedIn
from penstock.login.session_keyring import default_sessions


class SignInGuard:
    """Tells whether the sign-in with which a session was asked for is still kept, and still of the same person."""

    def __init__(self, way: Connection, holder: TokenHolder) -> None:
        self._way = way
        self._holder = holder

    def holds(self) -> bool:
        """Tell it; a token that came by itself, from a file or a variable, has no sign-in that could end."""
        if not isinstance(self._way.token, login.Cached):
            return True
        session = default_sessions().load(self._way.profile, self._way.server)
        if session is None:
            return False
        now = holder_of(session.tokens.access_token)
        return (now.issuer, now.subject) == (self._holder.issuer, self._holder.subject)

    def check(self) -> None:
        """Raise NotSignedIn where it does not hold."""
        if not self.holds():
            raise NotSignedIn("the sign-in with which this was started has ended")


def holder(way: Connection) -> TokenHolder:
    """Give whose token is used; a sign-in is renewed for it where that is due. Raises as the token's source does."""
    token = way.token() if callable(way.token) else way.token
    if inspect.isawaitable(token):  # no source of a command line is a coroutine function
        raise TypeError("the token's source is asynchronous")
    return holder_of(cast("str", token) or "")


def issued(way: Connection, request: SessionRequest) -> AwsCredentials:
    """Ask the server for a session."""
    with way.open() as broker:
        return request.issue(broker)


def kept_or_issued(way: Connection, request: SessionRequest) -> AwsCredentials:
    """Give a session that is kept for this very request, or a new one, which is kept then where there is a place."""
    cache = default_cache(os.environ)
    if cache is None:
        return issued(way, request)
    whose = holder(way)
    if whose.expires_at is not None and whose.expires_at <= time.time():
        # The server refuses it; what was kept for a token does not outlive its renewal.
        return issued(way, request)
    key = SessionKey.of(request, profile=way.profile, server=way.server, holder=whose)
    guard = SignInGuard(way, whose)
    return cached_session(key, cache, lambda: issued(way, request), signed_in=guard.holds, tell=_tell)


def wipe(way: Connection) -> None:
    """Remove every session that is kept for a profile at a server; to be called once its sign-in is gone."""
    cache = default_cache(os.environ)
    if cache is not None:
        cache.wipe(group_of(way.profile, way.server))


def _tell(refused: CacheRefused) -> None:
    console = messages()
    console.print(f"not cached: {shown(refused.message)}", soft_wrap=True)
    if refused.hint:
        console.print(f"hint: {shown(refused.hint)}", soft_wrap=True)
