"""Step 2: the header of a token."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_server.identity.refusal import Rule, refused
from penstock_server.identity.strict_json import JsonObject, NotStrictJson, parse_object

_MAX_DEPTH = 4
_MAX_KID_CHARS = 128

# SECURITY: each of these would let the token choose its own key or change what its signature covers.
_REFUSED_MEMBERS = frozenset({"crit", "jku", "jwk", "x5u", "x5c", "zip", "b64", "cty"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What is read of a header. `type` is in lower case without `application/`, and "" where there is none."""

    algorithm: str
    kid: str
    type: str


def read(raw: bytes) -> Header:
    """Read `alg`, `kid` and `typ`; other members are ignored as RFC 7515 section 4 says, but eight are refused.

    Raises:
        Unauthenticated: not strict JSON, a refused member, or one of the three is not a usable string.
    """
    try:
        members = parse_object(raw, max_depth=_MAX_DEPTH)
    except NotStrictJson as problem:
        raise refused(Rule.HEADER_JSON, f"the header is refused: {problem}") from None
    if not _REFUSED_MEMBERS.isdisjoint(members):
        raise refused(Rule.HEADER_MEMBER, "the header holds a member that no access token needs")
    algorithm = members.get("alg")
    if not isinstance(algorithm, str):
        raise refused(Rule.ALGORITHM, "the header names no algorithm")
    kid = members.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= _MAX_KID_CHARS:
        raise refused(Rule.KEY_ID, "the header names no key, or not by a string of 1 to 128 characters")
    return Header(algorithm=algorithm, kid=kid, type=_media_type(members))


def _media_type(members: JsonObject) -> str:
    if "typ" not in members:
        return ""
    value = members["typ"]
    if not isinstance(value, str) or not value or not value.isascii():
        raise refused(Rule.TYP, "the header's typ is not a media type")
    # RFC 7515 section 4.1.9: `application/` may be left out, and media types ignore case.
    return value.lower().removeprefix("application/")
