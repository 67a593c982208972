"""The context keys of a condition, and the values that they have for one request.

Key names compare without regard to case, values exactly.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts

PREFIX: Final = "penstock:"
TAG: Final = "principaltag/"
"""Begins keys of attributes: the rest is the name, lower-case."""
POSTURE: Final = "posture/"
"""Begins keys that only `requires` makes; no file can write one."""


class Kind(Enum):
    """What the values of a key are."""

    TEXT = "text"
    NUMBER = "a number"
    INSTANT = "an instant"
    ADDRESS = "an IP address"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A context key. `name` is lower-case without the prefix; `multivalued` keys need a set operator."""

    name: str
    kind: Kind
    multivalued: bool

    def __str__(self) -> str:
        return PREFIX + _SPELLINGS.get(self.name, self.name)


_FIXED: Final = {
    "sourceip": (Kind.ADDRESS, False),
    "currenttime": (Kind.INSTANT, False),
    "issuer": (Kind.TEXT, False),
    "subject": (Kind.TEXT, False),
    "username": (Kind.TEXT, False),
    "clientid": (Kind.TEXT, False),
    "authenticationmethods": (Kind.TEXT, True),
    "tokenage": (Kind.NUMBER, False),
    "requestedttl": (Kind.NUMBER, False),
    "purpose": (Kind.TEXT, False),
}
NAMES: Final = (
    "SourceIp",
    "CurrentTime",
    "Issuer",
    "Subject",
    "Username",
    "ClientId",
    "AuthenticationMethods",
    "TokenAge",
    "RequestedTtl",
    "Purpose",
    "PrincipalTag/NAME",
)
"""The keys as documents spell them."""
_SPELLINGS: Final = {name.lower(): name for name in NAMES}


def parse_key(text: str) -> Key:
    """Read the name of a key.

    Raises:
        ValueError: there is no such key; the message goes well after the name in backticks.
    """
    lowered = text.lower()
    name = lowered.removeprefix(PREFIX)
    if not lowered.startswith(PREFIX):
        raise ValueError(f"is no condition key; {_hint(lowered)}")
    if name.startswith(TAG) and len(name) > len(TAG):
        # Attribute names are the operator's own; their case is folded with the rest of the key's name.
        return Key(name=name, kind=Kind.TEXT, multivalued=False)
    if name not in _FIXED:
        raise ValueError(f"is no condition key; {_hint(lowered)}")
    kind, multivalued = _FIXED[name]
    return Key(name=name, kind=kind, multivalued=multivalued)


def _hint(lowered: str) -> str:
    """Name the key that is meant, such as for `aws:SourceIp`; else all of them."""
    near = difflib.get_close_matches(lowered.rpartition(":")[2], _SPELLINGS, n=1)
    if near:
        return f"did you mean `{PREFIX}{_SPELLINGS[near[0]]}`?"
    return f"keys begin with `{PREFIX}`; there are {', '.join(NAMES)}"


def values_of(principal: Principal, facts: RequestFacts, *, default_issuer: str) -> Mapping[str, tuple[str, ...]]:
    """Give the values of every key that is present, as text; instants as ISO 8601, durations as whole seconds.

    `Username` exists for the default issuer only, so that nobody becomes somebody else by a name at another provider.
    """
    found: dict[str, tuple[str, ...]] = {
        "currenttime": (facts.at.isoformat(),),
        "issuer": (principal.issuer,),
        "tokenage": (str(max(0, int((facts.at - principal.issued_at).total_seconds()))),),
    }
    if principal.subject:
        found["subject"] = (principal.subject_digest().hex(),)
    if _is_address(facts.source_address):
        found["sourceip"] = (facts.source_address,)
    if principal.username is not None and principal.issuer == default_issuer:
        found["username"] = (principal.username,)
    if principal.client_id is not None:
        found["clientid"] = (principal.client_id,)
    if principal.authentication_methods:
        found["authenticationmethods"] = principal.authentication_methods
    if facts.requested_ttl is not None:
        found["requestedttl"] = (str(int(facts.requested_ttl.total_seconds())),)
    if facts.purpose:
        found["purpose"] = (facts.purpose,)
    for name, values in principal.attributes:
        if values:
            # Names that differ by case only are one key; its values together are too many for most operators.
            key = TAG + name.lower()
            found[key] = found.get(key, ()) + values
    return found


def instant_of(text: str) -> datetime:
    """Read an instant: ISO 8601 with a zone, or seconds since the epoch.

    Raises:
        ValueError: it is neither.
    """
    try:
        if text.isascii() and text.isdigit():
            return datetime.fromtimestamp(int(text), UTC)
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("an instant needs a zone")
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("an instant beyond the calendar") from error


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
