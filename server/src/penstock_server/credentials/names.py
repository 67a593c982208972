"""Names that AWS keeps of a session: stable, free of collisions, within its alphabets."""

from __future__ import annotations

import base64
import unicodedata

from penstock_server.model.lease import LeaseId
from penstock_server.model.principal import Principal, subject_digest

LEASE_TAG = "penstock:lease"
USER_TAG = "penstock:user"
MAX_TAG_VALUE_CHARS = 256

_NAME_PREFIX = "pk-"
_NAME_CHARS = 26
_TAG_PUNCTUATION = frozenset("_.:/=+-@")


def subject_letters(principal: Principal, count: int) -> str:
    """Give the first `count` letters of the identity's digest: lower-case base32, 5 bits each."""
    return _letters(principal.subject_digest(), count)


def lease_letters(lease: LeaseId) -> str:
    """Give the 128 bits of a lease's id as 26 letters of lower-case base32."""
    return _letters(bytes.fromhex(lease), _NAME_CHARS)


def _letters(digest: bytes, count: int) -> str:
    return base64.b32encode(digest).decode().rstrip("=").lower()[:count]


def stable_name(principal: Principal) -> str:
    """Give the SourceIdentity and RoleSessionName of an identity: `pk-` and 130 bits of its digest.

    The same for all sessions of a person, so that one Deny revokes them all, and so that Redshift Data and Athena,
    which know people by session name, keep knowing them. No readable name: other accounts see it in their trails.
    """
    return _NAME_PREFIX + subject_letters(principal, _NAME_CHARS)


def stable_name_of(issuer: str, subject: str) -> str:
    """Give the stable name of an identity of which nothing else is known."""
    return _NAME_PREFIX + _letters(subject_digest(issuer, subject), _NAME_CHARS)


def session_tags(principal: Principal, lease: LeaseId, *, default_issuer: str) -> tuple[tuple[str, str], ...]:
    """Give the session tags: the lease, and for readers of CloudTrail the user.

    A username of another issuer than the default one, one that does not fit AWS's alphabet, or one that looks like our
    stable names is replaced by the stable name: nothing is dropped, and nobody takes the name of somebody else. The
    tag is for reading; a policy that means a person compares `aws:SourceIdentity`.
    """
    return ((LEASE_TAG, lease), (USER_TAG, _user_value(principal, default_issuer)))


def _user_value(principal: Principal, default_issuer: str) -> str:
    username = principal.username
    # SECURITY: anybody may choose a name at another issuer, and one that looks like a stable name of ours.
    if username is None or principal.issuer != default_issuer or username.startswith(_NAME_PREFIX):
        return stable_name(principal)
    return username if fits_tag(username) else stable_name(principal)


def fits_tag(value: str) -> bool:
    r"""Tell whether AWS accepts the text as a tag's value: at most 256 of `[\p{L}\p{Z}\p{N}_.:/=+\-@]`."""
    if not 1 <= len(value) <= MAX_TAG_VALUE_CHARS:
        return False
    # AWS: \p{Z} holds line and paragraph separators too; they are no part of a name that anybody reads.
    return all(
        character in _TAG_PUNCTUATION or character == " " or unicodedata.category(character)[0] in {"L", "N"}
        for character in value
    )
