"""Who asks: a verified principal, and how policies name principals."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Group:
    """A group of one issuer; names of two issuers are never the same group."""

    issuer: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller whose access token has been verified. Identity is (issuer, subject); everything else may change.

    `username` is for display and for rules that match it; None where the token has none. `groups_complete` is
    False where the identity provider cut the list (then `groups` is what was listed, never "all").
    `attributes` are configured claims as (name, values) pairs sorted by name. `client_id` is None where the token
    has none. Instants are aware UTC.
    """

    issuer: str
    subject: str
    username: str | None
    groups: frozenset[Group]
    groups_complete: bool
    attributes: tuple[tuple[str, tuple[str, ...]], ...]
    client_id: str | None
    authentication_methods: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime

    def subject_digest(self) -> bytes:
        """SHA-256 over the length-prefixed issuer and subject: a stable, collision-free name of this identity."""
        return subject_digest(self.issuer, self.subject)


def subject_digest(issuer: str, subject: str) -> bytes:
    """Give what `Principal.subject_digest` does, for an identity of which nothing else is known."""
    digest = hashlib.sha256()
    for part in (issuer.encode(), subject.encode()):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class UserByName:
    """`user:NAME`: the configured username claim at one issuer, compared exactly."""

    issuer: str
    username: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserBySubject:
    """`user:ISSUER|SUB`: one identity."""

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryoneOf:
    """`everyone`, `everyone@ISSUER`: any principal whose token that issuer signed."""

    issuer: str


PrincipalSelector = UserByName | UserBySubject | Group | EveryoneOf


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIssuers:
    """How names in policies and configuration resolve to issuers.

    `default` is the issuer whose names `user:NAME`, `group:NAME` and `everyone` mean. `prefixes` pairs the
    group prefix of each other issuer (it ends in `:`) with that issuer; `issuers` lists all.
    """

    default: str
    issuers: tuple[str, ...]
    prefixes: tuple[tuple[str, str], ...]


def selects(selector: PrincipalSelector, principal: Principal) -> bool:
    """Tell whether a selector names this principal. Names compare exactly, per issuer."""
    match selector:
        case UserByName(issuer=issuer, username=username):
            return principal.issuer == issuer and principal.username == username
        case UserBySubject(issuer=issuer, subject=subject):
            return principal.issuer == issuer and principal.subject == subject
        case Group():
            return selector in principal.groups
        case EveryoneOf(issuer=issuer):
            return principal.issuer == issuer
