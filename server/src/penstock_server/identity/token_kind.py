"""Step 10: an access token and not another kind, held by whoever may hold it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

from penstock_server.identity.refusal import Rule, refused
from penstock_server.identity.strict_json import JsonObject

_ACCESS_TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - a media type
# `nonce` and the hashes bind an ID token to its sign-in; `events` makes a security event or a logout token.
_OTHER_KINDS: Final = ("nonce", "at_hash", "c_hash", "s_hash", "events")


def check_kind(claims: JsonObject, *, header_type: str, audiences: tuple[str, ...], clients: frozenset[str]) -> None:
    """Refuse ID, refresh, logout and event tokens, whatever key signed them.

    `clients` are the client of the token and the one that `penstock login` uses. A header `typ` of `at+jwt` proves
    the kind; under any other accepted type the claims must: a scope or roles, `token_use: access` or `typ: Bearer`,
    and no audience that is a client, as ID tokens have.

    Raises:
        Unauthenticated: a sign of another kind, or no proof of this one.
    Source: RFC 9068 section 4, RFC 8725 section 3.12; Keycloak `typ`, Cognito `token_use`.
    """
    for name in _OTHER_KINDS:
        if name in claims:
            raise refused(Rule.TOKEN_KIND, f"the token holds `{name}`, which access tokens do not")
    if claims.get("token_use", "access") != "access" or claims.get("typ", "Bearer") != "Bearer":
        raise refused(Rule.TOKEN_KIND, "the token says that it is of another kind")
    if header_type == _ACCESS_TOKEN_TYPE:
        return
    if not clients.isdisjoint(audiences):
        raise refused(Rule.TOKEN_KIND, "the token's audience is a client, as that of an ID token is")
    if not _is_for_access(claims):
        raise refused(Rule.TOKEN_KIND, "the token has no scope, roles or other proof that it is an access token")


def _is_for_access(claims: JsonObject) -> bool:
    if "token_use" in claims or "typ" in claims:
        return True
    return any(_holds_words(claims, name) for name in ("scope", "scp", "roles"))


def _holds_words(claims: JsonObject, name: str) -> bool:
    match claims.get(name):
        case str() as words:
            return bool(words.strip())
        case list() as words:
            return bool(words) and all(isinstance(word, str) and word.strip() for word in words)
        case _:
            return False


def required_certificate(claims: JsonObject) -> str | None:
    """Give the thumbprint of the certificate that the token is bound to (base64url SHA-256), None for a bearer.

    Raises:
        Unauthenticated: bound in another way.
    Source: RFC 8705 section 3.1; RFC 9449 (DPoP).
    """
    if "cnf" not in claims:
        return None
    # SECURITY: taken as a plain bearer, a bound token could be replayed by whoever saw it.
    confirmation = claims["cnf"]
    if isinstance(confirmation, dict) and "jkt" in confirmation:
        raise refused(
            Rule.PROOF_OF_POSSESSION, "the token is bound by DPoP, which is not spoken here; bind it to a certificate"
        )
    if not isinstance(confirmation, dict) or confirmation.keys() != {"x5t#S256"}:
        raise refused(Rule.PROOF_OF_POSSESSION, "the token is bound in a way that is not supported")
    thumbprint = confirmation["x5t#S256"]
    if not isinstance(thumbprint, str) or not thumbprint:
        raise refused(Rule.PROOF_OF_POSSESSION, "the token's certificate thumbprint is malformed")
    return thumbprint


def check_certificate(thumbprint: str | None, certificate: bytes | None) -> None:
    """Check that a bound token comes over a connection that proved the same certificate (DER).

    Raises:
        Unauthenticated: another certificate, or none.
    """
    if thumbprint is None:
        return
    if certificate is None:
        raise refused(
            Rule.PROOF_OF_POSSESSION, "the token is bound to a client certificate and the connection has none"
        )
    presented = base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b"=")
    if not hmac.compare_digest(presented, thumbprint.encode()):
        raise refused(Rule.PROOF_OF_POSSESSION, "the token is bound to another client certificate")
