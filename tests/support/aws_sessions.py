"""AWS sessions for tests of their delivery, and a clock to move."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from penstock import AwsCredentials
from penstock.delivery import KeptSession, SessionKey, SessionRequest, TokenHolder

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
REQUEST = SessionRequest(resources=("arn:aws:s3:::acme/x/*",), access=("read",), ttl=None, purpose="")
ALICE = TokenHolder(issuer="https://login.test", subject="alice", client="cli", expires_at=None)


def session(number: int = 1, *, expires_at: datetime | None = None) -> AwsCredentials:
    """A session whose parts carry a number."""
    return AwsCredentials(
        access_key_id=f"ASIA{number}",
        secret_access_key=f"secret-{number}",
        session_token=f"token-{number}",
        expires_at=expires_at or NOON + timedelta(hours=1),
        session_policy="{}",
        lease_id=f"lease-{number}",
        role_arn="arn:aws:iam::111122223333:role/r",
        region="eu-west-1",
        revocable="no",
        grants=("g",),
        policy_version="v",
    )


def kept(number: int = 1, *, lives: timedelta = timedelta(hours=1), issued_at: datetime = NOON) -> KeptSession:
    """A session that was issued at an instant and lives for a span."""
    return KeptSession(session=session(number, expires_at=issued_at + lives), issued_at=issued_at)


def key(request: SessionRequest = REQUEST, *, profile: str = "default", server: str = "s:1") -> SessionKey:
    """The key of a request of alice."""
    return SessionKey.of(request, profile=profile, server=server, holder=ALICE)


class Issuer:
    """Issues sessions that live for a span, counts them, and refuses once it is told to."""

    def __init__(self, now: Callable[[], datetime], *, lives: timedelta = timedelta(hours=1)) -> None:
        self.now = now
        self.lives = lives
        self.count = 0
        self.refusal: Exception | None = None

    def __call__(self) -> AwsCredentials:
        self.count += 1
        if self.refusal is not None:
            raise self.refusal
        return dataclasses.replace(session(self.count), expires_at=self.now() + self.lives)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.instant = NOON

    def __call__(self) -> datetime:
        return self.instant

    def move(self, **span: float) -> None:
        """Move it on."""
        self.instant += timedelta(**span)
