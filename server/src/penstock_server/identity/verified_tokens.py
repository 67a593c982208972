"""Tokens that were verified a moment ago, so that a second call with the same token costs one hash."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NewType

from penstock_server.model.principal import Principal

TokenDigest = NewType("TokenDigest", bytes)
"""SHA-256 of the canonical bytes of a token."""

KEPT_SECONDS: Final = 60.0
_MAX_WEIGHT: Final = 65_536


def digest_of(credential: str) -> TokenDigest:
    """Give the name of a token; a spelling that was never verified has another one."""
    return TokenDigest(hashlib.sha256(credential.encode("utf-8", "surrogatepass")).digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedToken:
    """What a verification found, and the conditions under which it still holds.

    `generation` is that of the issuer's keys. `certificate` is the thumbprint that the token is bound to, or None.
    """

    principal: Principal
    generation: int
    certificate: str | None


class VerifiedTokens:
    """A bounded map of verified tokens, least recently used first out.

    Bounded by weight, not by count: a principal with a thousand groups weighs as much as five hundred with one.
    What may change meanwhile (keys, floor, certificate of the connection) is the caller's to compare.
    """

    def __init__(self, *, max_weight: int = _MAX_WEIGHT) -> None:
        self._max_weight = max_weight
        self._weight = 0
        self._entries: OrderedDict[TokenDigest, tuple[VerifiedToken, float]] = OrderedDict()

    def get(self, digest: TokenDigest, *, now: datetime, monotonic: float) -> VerifiedToken | None:
        """Give a token that was verified within 60 seconds and has not expired, without any skew."""
        entry = self._entries.get(digest)
        if entry is None:
            return None
        token, verified_at = entry
        if monotonic - verified_at >= KEPT_SECONDS or now >= token.principal.expires_at:
            self.drop(digest)
            return None
        self._entries.move_to_end(digest)
        return token

    def put(self, digest: TokenDigest, token: VerifiedToken, *, monotonic: float) -> None:
        """Keep a token; older ones make room."""
        self.drop(digest)
        self._entries[digest] = (token, monotonic)
        self._weight += _weight(token)
        while self._weight > self._max_weight:
            self.drop(next(iter(self._entries)))

    def drop(self, digest: TokenDigest) -> None:
        """Forget a token."""
        entry = self._entries.pop(digest, None)
        if entry is not None:
            self._weight -= _weight(entry[0])


def _weight(token: VerifiedToken) -> int:
    principal = token.principal
    return 2 + len(principal.groups) + sum(len(values) for _, values in principal.attributes)
