"""A JWK set -> the keys of it that may verify."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from penstock_server.identity.keys.jwk import UnusableKey, VerificationKey, read_jwk
from penstock_server.identity.strict_json import Json, NotStrictJson, parse_object

MAX_BYTES = 512 * 1024
_MAX_DEPTH = 8
_MAX_KEYS = 256


class KeysUnreadable(Exception):
    """The keys of an issuer could not be had; the message says why, in words for an operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """What an issuer publishes at one moment.

    `usable` holds one key a `kid`; `unusable` the reason for each other `kid`; `digest` changes with any usable key.
    """

    usable: Mapping[str, VerificationKey]
    unusable: Mapping[str, str]
    digest: bytes


def read_key_set(raw: bytes) -> KeySet:
    """Read a JWK set; keys that cannot be used are put aside one by one, and the set stands without them.

    Raises:
        KeysUnreadable: no JWK set at all, over 512 KiB, or of more than 256 keys.
    Source: RFC 7517 section 5.
    """
    if len(raw) > MAX_BYTES:
        raise KeysUnreadable("the key set is over 512 KiB")
    try:
        members = parse_object(raw, max_depth=_MAX_DEPTH).get("keys")
    except NotStrictJson as problem:
        raise KeysUnreadable(f"the key set is refused: {problem}") from None
    if not isinstance(members, list):
        raise KeysUnreadable("the key set has no list `keys`")
    if len(members) > _MAX_KEYS:
        raise KeysUnreadable("the key set holds more than 256 keys")
    return _sorted_out(members)


def _sorted_out(members: list[Json]) -> KeySet:
    keys: list[VerificationKey] = []
    unusable: dict[str, str] = {}
    for position, member in enumerate(members):
        try:
            keys.append(read_jwk(member))
        except UnusableKey as problem:
            unusable[_name(member, position)] = str(problem)
    # SECURITY: a kid names exactly one key or none; a choice between two would be made by whoever ordered the list.
    ambiguous = {kid for kid, count in Counter(key.kid for key in keys).items() if count > 1}
    unusable.update(dict.fromkeys(ambiguous, "two usable keys have this kid"))
    usable = {key.kid: key for key in keys if key.kid not in ambiguous}
    digest = hashlib.sha256()
    for kid in sorted(usable):
        digest.update(hashlib.sha256(kid.encode()).digest() + usable[kid].digest)
    return KeySet(usable=MappingProxyType(usable), unusable=MappingProxyType(unusable), digest=digest.digest())


def _name(member: Json, position: int) -> str:
    kid = member.get("kid") if isinstance(member, dict) else None
    return kid if isinstance(kid, str) else f"#{position}"
