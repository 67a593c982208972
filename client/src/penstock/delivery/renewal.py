"""When a kept session is given again, and when the server is asked for another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from penstock.credentials import AwsCredentials
from penstock.delivery.kept import CacheRefused, KeptSession, SessionCache, SessionKey
from penstock.errors import PenstockError, Unavailable

Issue = Callable[[], AwsCredentials]
Now = Callable[[], datetime]

_RETRY: Final = timedelta(seconds=20)


def utc_now() -> datetime:
    """Give the present instant."""
    return datetime.now(UTC)


def cached_session(
    key: SessionKey,
    cache: SessionCache,
    issue: Issue,
    *,
    signed_in: Callable[[], bool],
    tell: Callable[[CacheRefused], None],
    now: Now = utc_now,
) -> AwsCredentials:
    """Give the kept session until it is due, then a new one, for which the server is asked once among all processes.

    `signed_in` tells whether the sign-in, if the token is of one, is still kept. A cache that cannot be trusted is told
    and gone without.

    Raises:
        PenstockError: what the server refused. The session that was kept, if any, is gone then; only where the server
            cannot be reached is it given for as long as it works.
    """
    try:
        kept = cache.load(key)
        if kept is not None and not kept.due(now()):
            return kept.session
        with cache.exclusive(key):
            return _renewed(key, cache, issue, signed_in=signed_in, tell=tell, now=now)
    except CacheRefused as refused:
        tell(refused)
        return issue()


def _renewed(
    key: SessionKey,
    cache: SessionCache,
    issue: Issue,
    *,
    signed_in: Callable[[], bool],
    tell: Callable[[CacheRefused], None],
    now: Now,
) -> AwsCredentials:
    # Another process may have asked while this one waited.
    kept = cache.load(key)
    if kept is not None and not kept.due(now()):
        return kept.session
    try:
        fresh = KeptSession(session=issue(), issued_at=now())
    except Unavailable:
        if kept is not None and kept.usable(now()):
            return kept.session
        raise
    except PenstockError:
        cache.forget(key)
        raise
    try:
        cache.save(key, fresh)
    except CacheRefused as refused:
        tell(refused)
    # SECURITY: a sign-out forgets the sign-in first and wipes then; whichever of the two came after this save, no
    # session outlives it.
    if not signed_in():
        cache.wipe(key.group)
    return fresh.session


def _always() -> None:
    """Let every session be given."""


class RenewingSession:
    """Gives a session that works, from memory: for one program, and all its threads."""

    def __init__(self, issue: Issue, *, check: Callable[[], None] = _always, now: Now = utc_now) -> None:
        """Take what issues a session, called from one thread at a time, and what is asked before each is given.

        `check` raises where the session may not be given any more; it is gone then.
        """
        self._issue = issue
        self._check = check
        self._now = now
        self._lock = threading.Lock()
        self._kept: KeptSession | None = None
        self._quiet_until: datetime | None = None

    def __repr__(self) -> str:
        return "RenewingSession(***)"

    def current(self) -> AwsCredentials:
        """Give the session until it is due, then a new one.

        Raises:
            PenstockError: what the server refused; only where it cannot be reached is the old session given on.
        """
        with self._lock:
            self._checked()
            now = self._now()
            kept = self._kept
            if kept is not None and (not kept.due(now) or self._waits(kept, now)):
                return kept.session
            try:
                fresh = self._issue()
            except Unavailable:
                if kept is None or not kept.usable(self._now()):
                    raise
                self._quiet_until = self._now() + _RETRY
                return kept.session
            except PenstockError:
                self._kept = None
                raise
            self._kept, self._quiet_until = KeptSession(session=fresh, issued_at=self._now()), None
            return fresh

    def _checked(self) -> None:
        try:
            self._check()
        except PenstockError:
            self._kept = None
            raise

    def _waits(self, kept: KeptSession, now: datetime) -> bool:
        return self._quiet_until is not None and now < self._quiet_until and kept.usable(now)
