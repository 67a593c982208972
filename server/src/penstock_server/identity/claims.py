"""Steps 8, 9 and 11: the registered claims, the audience, the client, and what an issuer must say besides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from penstock_server.identity.refusal import Rule, refused
from penstock_server.identity.strict_json import JsonObject
from penstock_server.identity.text import is_name

SKEW: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """When a token was issued and until when it is valid, in whole seconds since the epoch."""

    issued_at: int
    expires_at: int


def check_validity(claims: JsonObject, *, max_age: timedelta, now: datetime) -> Validity:
    """Step 8: `exp`, `iat` and `nbf` are integers that hold now, give or take 60 seconds; `jti` is a name.

    Raises:
        Unauthenticated: a claim is missing or of another type, the token is not valid now, or it lives too long.
    """
    issued_at = _instant(claims, "iat")
    expires_at = _instant(claims, "exp")
    clock, skew = now.timestamp(), SKEW.total_seconds()
    if expires_at + skew <= clock:
        raise refused(Rule.EXPIRED, "the token has expired")
    if issued_at > clock + skew:
        raise refused(Rule.ISSUED_IN_FUTURE, "the token was issued in the future")
    # Also bounds both instants to what a calendar can hold.
    if not 0 < expires_at - issued_at <= max_age.total_seconds():
        raise refused(Rule.TOKEN_AGE, "the token lives longer than `max_token_age` allows, or ends before it begins")
    if "nbf" in claims and _instant(claims, "nbf") > clock + skew:
        raise refused(Rule.NOT_YET_VALID, "the token is not valid yet")
    if "jti" in claims and not is_name(claims["jti"]):
        raise refused(Rule.CLAIM_TYPE, "jti is not a string of 1 to 256 characters without control characters")
    return Validity(issued_at=issued_at, expires_at=expires_at)


def _instant(claims: JsonObject, name: str) -> int:
    if name not in claims:
        raise refused(Rule.CLAIM_MISSING, f"the token has no {name}")
    value = claims[name]
    # A boolean is an integer to Python, but not to JSON.
    if not isinstance(value, int) or isinstance(value, bool):
        raise refused(Rule.CLAIM_TYPE, f"{name} is not an integer")
    return value


def check_audience(claims: JsonObject, audience: str) -> tuple[str, ...]:
    """Step 9: give the audiences, of which one is ours, exactly.

    Raises:
        Unauthenticated: missing, not a string or a list of strings, or ours is not among them.
    """
    if "aud" not in claims:
        raise refused(Rule.CLAIM_MISSING, "the token has no aud")
    value = claims["aud"]
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list):
        raise refused(Rule.CLAIM_TYPE, "aud is neither a string nor a list of strings")
    audiences = tuple(item for item in listed if isinstance(item, str))
    if len(audiences) != len(listed):
        raise refused(Rule.CLAIM_TYPE, "aud is neither a string nor a list of strings")
    if audience not in audiences:
        raise refused(Rule.AUDIENCE, "the token is not for this service")
    return audiences


def check_client(claims: JsonObject, allowed: frozenset[str]) -> str | None:
    """Step 9: give the client that the token was issued to, None where it names none.

    Raises:
        Unauthenticated: `client_id` and `azp` differ or are no names, or a client that is not allowed. Where
            `allowed` is not empty, a token that names no client is refused.
    """
    named = [claims[name] for name in ("client_id", "azp") if name in claims]
    clients = {value for value in named if isinstance(value, str) and is_name(value)}
    if len(clients) > 1 or not all(isinstance(value, str) and value in clients for value in named):
        raise refused(Rule.CLIENT, "client_id and azp differ, or one of them is no name")
    client = next(iter(clients), None)
    if allowed and client not in allowed:
        raise refused(Rule.CLIENT, "the token was issued to a client that is not in `allowed_clients`")
    return client


def check_required(claims: JsonObject, required: tuple[tuple[str, str], ...]) -> None:
    """Step 11: every required claim is there as exactly this string.

    Raises:
        Unauthenticated: one is missing or another.
    """
    for name, value in required:
        if claims.get(name) != value:
            raise refused(Rule.REQUIRED_CLAIM, f"the claim `{name}` that this issuer's tokens must carry does not hold")
