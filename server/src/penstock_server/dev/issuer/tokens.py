"""What the issuer says about a user: access tokens as RFC 9068 has them, and ID tokens."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from penstock_server.dev.issuer.people import DevUser
from penstock_server.dev.issuer.signing import SigningKey, half_hash
from penstock_server.model.clock import Clock

# AWS: sessions last at least 15 minutes and no longer than the token, so shorter tokens would close that door.
ACCESS_TOKEN_LIFETIME: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A user who was chosen for a client, with the scopes that it asked for and the nonce of its request, or ""."""

    user: DevUser
    client_id: str
    scopes: tuple[str, ...]
    nonce: str
    signed_in_at: int


class TokenWriter:
    """Writes the tokens of one issuer."""

    def __init__(self, *, issuer: str, audience: str, key: SigningKey, clock: Clock) -> None:
        self._issuer = issuer
        self._audience = audience
        self._key = key
        self._clock = clock

    def now(self) -> int:
        """Give the present time in whole seconds since the epoch."""
        return int(self._clock.now().timestamp())

    def access_token(self, sign_in: SignIn, overrides: dict[str, object]) -> str:
        """Write an access token; `overrides` replace or add claims, and None removes one."""
        issued = self.now()
        claims: dict[str, object] = {
            "iss": self._issuer,
            "sub": sign_in.user.subject,
            "aud": self._audience,
            "iat": issued,
            "exp": issued + int(ACCESS_TOKEN_LIFETIME.total_seconds()),
            "auth_time": sign_in.signed_in_at,
            "jti": secrets.token_urlsafe(16),
            "client_id": sign_in.client_id,
            "scope": " ".join(sign_in.scopes),
            "preferred_username": sign_in.user.username,
            "groups": list(sign_in.user.groups),
        }
        claims |= overrides
        return self._key.sign({name: value for name, value in claims.items() if value is not None}, typ="at+jwt")

    def id_token(self, sign_in: SignIn, access_token: str) -> str:
        """Write the ID token that goes with an access token: for the client, and useless anywhere else."""
        issued = self.now()
        claims: dict[str, object] = {
            "iss": self._issuer,
            "sub": sign_in.user.subject,
            "aud": sign_in.client_id,
            "iat": issued,
            "exp": issued + int(ACCESS_TOKEN_LIFETIME.total_seconds()),
            "auth_time": sign_in.signed_in_at,
            "at_hash": half_hash(access_token),
            "preferred_username": sign_in.user.username,
        }
        if sign_in.nonce:
            claims["nonce"] = sign_in.nonce
        return self._key.sign(claims, typ="JWT")
