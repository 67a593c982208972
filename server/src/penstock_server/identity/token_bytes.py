"""Step 1: the bytes of a token, in the one spelling that they can have."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from penstock_server.identity.refusal import Rule, refused

MAX_TOKEN_BYTES = 8 * 1024

_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactToken:
    """A token in compact form with its decoded header and payload.

    INVARIANT: `text` is the only base64url spelling of these bytes, so a digest of it names the token.
    """

    text: str
    header: bytes
    payload: bytes


def bearer(authorization: tuple[str, ...]) -> str:
    """Give the credential of the one `authorization` value, not looked at yet but for its length.

    Raises:
        Unauthenticated: none, more than one, another scheme, or over 8 KiB.
    """
    if not authorization:
        raise refused(Rule.AUTHORIZATION_MISSING, "the request has no authorization header")
    if len(authorization) > 1:
        # SECURITY: a proxy in front may have checked the other one.
        raise refused(Rule.AUTHORIZATION_REPEATED, "the request has more than one authorization header")
    scheme, _, credential = authorization[0].partition(" ")
    if scheme.lower() == "dpop":
        raise refused(
            Rule.AUTHORIZATION_SCHEME, "DPoP is not spoken here; use a bearer token, or bind it to a TLS certificate"
        )
    if scheme.lower() != "bearer":
        raise refused(Rule.AUTHORIZATION_SCHEME, "the authorization header is not `Bearer TOKEN`")
    if len(credential) > MAX_TOKEN_BYTES:
        raise refused(Rule.TOKEN_SIZE, "the token is over 8 KiB")
    return credential


def split(credential: str) -> CompactToken:
    """Take a compact token apart.

    Raises:
        Unauthenticated: not exactly three unpadded base64url segments, or a segment that is not the encoding of
            its own bytes.
    Source: RFC 7515 sections 2 and 7.1.
    """
    segments = credential.split(".")
    if len(segments) != 3:
        raise refused(Rule.TOKEN_ENCODING, "the token has not exactly three segments")
    header, payload, _ = (_decode(segment) for segment in segments)
    return CompactToken(text=credential, header=header, payload=payload)


def _decode(segment: str) -> bytes:
    # SECURITY: the library's decoder skips junk, takes padding and ignores the unused bits of the last character;
    # then one token has many spellings, and whatever is keyed by its text (caches, deny lists) can be walked round.
    if _SEGMENT.fullmatch(segment) is None:
        raise refused(Rule.TOKEN_ENCODING, "a segment is not unpadded base64url")
    try:
        raw = base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise refused(Rule.TOKEN_ENCODING, "a segment has an impossible length") from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != segment.encode("ascii"):
        raise refused(Rule.TOKEN_ENCODING, "a segment is not in its canonical spelling")
    return raw
