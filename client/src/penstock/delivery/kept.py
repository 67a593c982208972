"""A session that is kept, under which name, and what keeps it."""

from __future__ import annotations

import hashlib
import json
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from penstock.credentials import AwsCredentials
from penstock.delivery.requests import SessionRequest, TokenHolder
from penstock.errors import PenstockError
from penstock.login.sessions import name_of

_VERSION: Final = 1

SDK_WINDOW: Final = timedelta(minutes=16)
"""AWS: SDKs ask again at every call once 15 minutes are left; what is given has more, where it lives long enough."""

_LONG_LIFE: Final = timedelta(minutes=30)

LAST_USE: Final = timedelta(minutes=1)
"""What a session has left, at least, where it is given because the server cannot be reached."""


class CacheRefused(PenstockError):
    """The place of the cache cannot be trusted or written; nothing of it was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKey:
    """The name of a kept session. `group` is that of a profile at a server, which a sign-out wipes; `digest` the rest.

    Both are hexadecimal, so that names of files hold nothing of what people wrote.
    """

    group: str
    digest: str

    @classmethod
    def of(cls, request: SessionRequest, *, profile: str, server: str, holder: TokenHolder) -> SessionKey:
        """Name the session of a request: by server, issuer, subject, client, scope, access, lifetime and purpose."""
        parts = [
            server,
            holder.issuer,
            holder.subject,
            holder.client,
            sorted(set(request.resources)),
            sorted(set(request.access)),
            None if request.ttl is None else request.ttl.total_seconds(),
            request.purpose,
        ]
        # JSON separates the parts, whatever characters they hold.
        digest = hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()
        return cls(group=group_of(profile, server), digest=digest[:40])


def group_of(profile: str, server: str) -> str:
    """Name all that a profile keeps of a server."""
    return name_of(profile, server)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSession:
    """A session and when it was issued, by this machine's clock."""

    session: AwsCredentials
    issued_at: datetime

    def due(self, now: datetime) -> bool:
        """Whether it is time for another: before SDKs begin to ask at every call, or in its last quarter if short."""
        life = self.session.expires_at - self.issued_at
        window = SDK_WINDOW if life >= _LONG_LIFE else life / 4
        # A clock that was set back says nothing about how much is left.
        return now < self.issued_at - timedelta(minutes=5) or self.session.expires_at - now < window

    def usable(self, now: datetime) -> bool:
        """Whether it works for a little longer."""
        return self.session.expires_at - now >= LAST_USE

    def to_json(self, key: SessionKey) -> str:
        """Give it as text, secrets included: for a store that only its user can read."""
        members = {**asdict(self.session), "expires_at": self.session.expires_at.isoformat()}
        return json.dumps(
            {"version": _VERSION, "key": key.digest, "issued_at": self.issued_at.isoformat(), "session": members}
        )


def kept_from_json(text: str, key: SessionKey) -> KeptSession | None:
    """Read what `to_json` wrote; None where it is anything else, or of another key."""
    try:
        members: dict[str, Any] = json.loads(text)
        found = members["session"]
        # SECURITY: what was copied from under another name is not for this request.
        if members["version"] != _VERSION or members["key"] != key.digest:
            return None
        return KeptSession(
            session=AwsCredentials(
                access_key_id=_text(found, "access_key_id"),
                secret_access_key=_text(found, "secret_access_key"),
                session_token=_text(found, "session_token"),
                expires_at=_instant(found, "expires_at"),
                session_policy=_text(found, "session_policy"),
                lease_id=_text(found, "lease_id"),
                role_arn=_text(found, "role_arn"),
                region=_text(found, "region"),
                revocable=_text(found, "revocable"),
                grants=tuple(str(each) for each in found["grants"]),
                policy_version=_text(found, "policy_version"),
            ),
            issued_at=_instant(members, "issued_at"),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _text(members: dict[str, Any], name: str) -> str:
    value = members[name]
    if not isinstance(value, str):
        raise TypeError(name)
    return value


def _instant(members: dict[str, Any], name: str) -> datetime:
    return datetime.fromisoformat(_text(members, name)).astimezone(UTC)


class SessionCache(Protocol):
    """Keeps sessions where only this user can read them."""

    def load(self, key: SessionKey) -> KeptSession | None:
        """Give a kept session, None where there is none that can be trusted. Raises CacheRefused."""
        ...

    def save(self, key: SessionKey, kept: KeptSession) -> None:
        """Keep a session in place of the one before. Raises CacheRefused."""
        ...

    def forget(self, key: SessionKey) -> None:
        """Remove a session, if there is one."""
        ...

    def wipe(self, group: str) -> None:
        """Remove all sessions of a profile at a server."""
        ...

    def exclusive(self, key: SessionKey) -> AbstractContextManager[None]:
        """Hold a session against other processes of this user, for a bounded time. Raises CacheRefused."""
        ...
