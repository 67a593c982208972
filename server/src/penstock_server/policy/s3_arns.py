"""The S3 ARNs that grants name, and whether they cover an object or a prefix.

Text is compared by code points: nothing is decoded, folded or collapsed. In a granted key `*` and `?` are wildcards as
in IAM and cross slashes; `${*}`, `${?}`, `${$}` are the characters themselves.

Source: IAM user guide, "Wildcards" and "Special characters" of policy variables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from penstock_server.model.resource import S3Location
from penstock_server.policy.problems import NOT_AVAILABLE

MAX_KEY_BYTES: Final = 1024
"""Longest object key, in bytes of UTF-8. AWS: S3 user guide, "Object key names"."""

_PREFIX: Final = "arn:aws:s3:::"
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_OTHER_KINDS: Final = (
    ("--x-s3", "a directory bucket"),
    ("-s3alias", "an access point alias"),
    ("--ol-s3", "an Object Lambda access point"),
    ("--table-s3", "a table bucket"),
    (".mrap", "a multi-region access point"),
)
_KEY_TOKEN: Final = re.compile(r"\$\{(?P<escaped>[*?$])\}|(?P<bad>\$\{)|(?P<wild>[*?])|(?P<plain>.)", re.DOTALL)


class Wildcard(Enum):
    """A part of a granted key that stands for more than itself."""

    ANY = auto()
    """`*`: any characters, none too."""
    ONE = auto()
    """`?`: exactly one character."""


KeyToken = str | Wildcard
"""One character, or a wildcard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Pattern:
    """A granted ARN: a literal bucket and a key pattern.

    INVARIANT: in a run of wildcards every `?` stands before the one `*`, which `covers_prefix` relies on.
    """

    text: str
    bucket: str
    key: tuple[KeyToken, ...]

    def covers_object(self, location: S3Location) -> bool:
        """Tell whether the object is granted."""
        if location.bucket != self.bucket:
            return False
        return len(self.key) in _reached(self.key, location.key)

    def covers_prefix(self, location: S3Location) -> bool:
        """Tell whether every object whose key begins with this one is granted.

        A pattern covers all continuations of a text exactly where it can have consumed the text and stand before a
        last `*`: every other end either fixes a character or bounds the length.
        """
        if location.bucket != self.bucket or not self.key or self.key[-1] is not Wildcard.ANY:
            return False
        return len(self.key) - 1 in _reached(self.key, location.key)

    def overlaps(self, location: S3Location, *, exact: bool) -> bool:
        """Tell whether some object is meant by both: this one where `exact`, else any whose key begins so.

        Whatever is left of the pattern after the text, some continuation matches it.
        """
        if location.bucket != self.bucket:
            return False
        return self.covers_object(location) if exact else bool(_reached(self.key, location.key))


def parse_granted_arn(text: str) -> S3Pattern:
    """Read the ARN of a grant.

    Raises:
        ValueError: it is no ARN of S3 objects, or of a kind that this version lacks; the text goes well after the
            ARN in backticks.
    """
    bucket, key = _split(text)
    if any(character in bucket for character in "*?$"):
        raise ValueError("has a wildcard in the bucket's name, which would reach buckets of others; name each bucket")
    _check_bucket(bucket)
    if not key:
        raise ValueError(f"names no objects; write `{_PREFIX}{bucket}/*` for all of the bucket")
    tokens = _tokens(key)
    _check_key("".join(token for token in tokens if isinstance(token, str)))
    return S3Pattern(text=text, bucket=bucket, key=_normalized(tokens))


def _split(text: str) -> tuple[str, str]:
    """Give the bucket and the key as written."""
    if not text.startswith("arn:"):
        raise ValueError(f"is no ARN; write one such as `{_PREFIX}bucket/prefix/*`")
    parts = text.split(":", 5)
    if len(parts) != 6:
        raise ValueError(f"is no whole ARN; write one such as `{_PREFIX}bucket/prefix/*`")
    _, partition, service, region, account, resource = parts
    if service != "s3":
        raise ValueError(f"names a service other than S3, which is {NOT_AVAILABLE}")
    if partition != "aws":
        raise ValueError(f"names a partition other than `aws`, which is {NOT_AVAILABLE}")
    if region or account:
        raise ValueError(f"is no bucket of general purpose; access points and the like are {NOT_AVAILABLE}")
    bucket, _, key = resource.partition("/")
    return bucket, key


def _check_bucket(bucket: str) -> None:
    for suffix, kind in _OTHER_KINDS:
        if bucket.endswith(suffix):
            raise ValueError(f"names {kind}, which is {NOT_AVAILABLE}")
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise ValueError("names no bucket that S3 accepts: 3 to 63 of a-z, 0-9, dot and hyphen")


def _check_key(key: str) -> None:
    if any(ord(character) < 32 or ord(character) == 127 for character in key):
        raise ValueError("holds a control character")
    if any(0xD800 <= ord(character) <= 0xDFFF for character in key):
        raise ValueError("holds half a character")
    if len(key.encode()) > MAX_KEY_BYTES:
        raise ValueError(f"has a key of more than {MAX_KEY_BYTES} bytes")


def _tokens(key: str) -> tuple[KeyToken, ...]:
    tokens: list[KeyToken] = []
    for match in _KEY_TOKEN.finditer(key):
        if match["bad"]:
            raise ValueError(f"holds `${{`, which begins a policy variable; these are {NOT_AVAILABLE}")
        if match["wild"]:
            tokens.append(Wildcard.ANY if match["wild"] == "*" else Wildcard.ONE)
        else:
            tokens.append(match["escaped"] or match["plain"])
    return tuple(tokens)


def _normalized(tokens: tuple[KeyToken, ...]) -> tuple[KeyToken, ...]:
    """Order each run of wildcards: its `?` first, then one `*`; the meaning stays."""
    normal: list[KeyToken] = []
    any_pending = False
    for token in tokens:
        if token is Wildcard.ANY:
            any_pending = True
            continue
        if any_pending and token is not Wildcard.ONE:
            normal.append(Wildcard.ANY)
            any_pending = False
        normal.append(token)
    return (*normal, Wildcard.ANY) if any_pending else tuple(normal)


def _reached(pattern: tuple[KeyToken, ...], text: str) -> frozenset[int]:
    """Give every index of the pattern at which it can stand after consuming the text."""
    states = _with_skips(pattern, {0})
    for character in text:
        moved = {
            state if pattern[state] is Wildcard.ANY else state + 1
            for state in states
            if state < len(pattern) and (isinstance(pattern[state], Wildcard) or pattern[state] == character)
        }
        if not moved:
            return frozenset()
        states = _with_skips(pattern, moved)
    return frozenset(states)


def _with_skips(pattern: tuple[KeyToken, ...], states: set[int]) -> set[int]:
    """Add what is reached where `*` stands for nothing."""
    closed = set(states)
    for state in states:
        following = state
        while following < len(pattern) and pattern[following] is Wildcard.ANY:
            following += 1
            closed.add(following)
    return closed
