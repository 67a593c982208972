"""What is asked for, and whose token asks."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from penstock.credentials import AwsCredentials

if TYPE_CHECKING:
    from penstock.client import Broker

_CLIENT_CLAIMS = ("client_id", "azp", "cid", "appid")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """One request for an AWS session, as `Broker.aws_credentials` takes it."""

    resources: tuple[str, ...]
    access: tuple[str, ...]
    ttl: timedelta | None
    purpose: str

    def issue(self, broker: Broker) -> AwsCredentials:
        """Ask the server. Raises what `Broker.aws_credentials` raises."""
        return broker.aws_credentials(self.resources, access=self.access, ttl=self.ttl, purpose=self.purpose)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenHolder:
    """Whose token it says it is: nothing here is verified. `expires_at` is in seconds, None where it is not said."""

    issuer: str
    subject: str
    client: str
    expires_at: float | None


def holder_of(token: str) -> TokenHolder:
    """Read who an access token speaks of, to tell the cached sessions of people apart; the server alone verifies it.

    A token that is no JWT stands for itself, by its digest. Whoever can put a forged token here runs as this user, and
    could read the cache as well.
    """
    claims = _claims(token)
    issuer, subject = claims.get("iss"), claims.get("sub")
    expiry = claims.get("exp")
    if not isinstance(issuer, str) or not isinstance(subject, str):
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
        return TokenHolder(issuer="", subject=f"sha256:{digest}", client="", expires_at=None)
    client = next((claims[name] for name in _CLIENT_CLAIMS if isinstance(claims.get(name), str)), "")
    number = isinstance(expiry, int | float) and not isinstance(expiry, bool)
    return TokenHolder(
        issuer=issuer, subject=subject, client=client, expires_at=float(expiry) if number and expiry else None
    )


def _claims(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return payload if isinstance(payload, dict) else {}
