"""The database user of a principal: a name that cannot be an administrator's, held by one identity for ever."""

from __future__ import annotations

import re

from penstock_server.config.settings import DatabaseUserStyle
from penstock_server.credentials.names import lease_letters, subject_letters
from penstock_server.engines.redshift.setup import LEASE_CHARS, LEASE_MARK, ROLE_MARK
from penstock_server.errors import AccessDenied, Reason
from penstock_server.model.lease import LeaseId
from penstock_server.model.principal import Principal
from penstock_server.model.redshift_names import RESERVED_WORDS, SUPERUSERS
from penstock_server.model.warehouse import SESSION_NAME_CHARS

MAX_CHARS = 64
MAX_CHARS_IN_SESSIONS = SESSION_NAME_CHARS - len("IAMA:") - 1
"""Of a user whose sessions are told from everybody else's: the name of a session, which may be cut, is not full."""
HASH_CHARS = 20

_USER = re.compile(r"[a-z][a-z0-9_.@+-]*", re.ASCII)
_PREFIX = re.compile(r"[a-z][a-z0-9]*_", re.ASCII)
_HINT = "ask the operator to set `identity: hash` for this login"


def is_user_prefix(prefix: str) -> bool:
    """Tell whether a prefix keeps every user apart from the administrators' own: letters and digits, then `_`.

    Without the `_`, the prefix `a` and a user called `wsuser` would make the superuser `awsuser`.
    """
    return _PREFIX.fullmatch(prefix) is not None


def database_user(
    principal: Principal, *, style: DatabaseUserStyle, prefix: str, default_issuer: str, longest: int = MAX_CHARS
) -> str:
    """Give the database user of a principal: the prefix and the name, or the prefix and a hash of the identity.

    A name is taken as it is or refused: folding or cutting it could make it somebody else's. "" where each lease has a
    user of its own (`lease_user`).

    Raises:
        AccessDenied: the name cannot be used.
    Source: Redshift API, GetClusterCredentials, DbUser.
    """
    match style:
        case DatabaseUserStyle.HASH:
            return prefix + subject_letters(principal, HASH_CHARS)
        case DatabaseUserStyle.USERNAME:
            return prefix + _checked(principal, prefix, default_issuer, longest)
        case DatabaseUserStyle.LEASE:
            return ""


def lease_user(lease: LeaseId, *, prefix: str) -> str:
    """Give the database user of a lease: the prefix, `l_`, and all bits of the lease's id in base32."""
    return prefix + LEASE_MARK + lease_letters(lease)


def is_lease_user(user: str, *, prefix: str) -> bool:
    """Tell whether a database user is that of a lease."""
    return user.startswith(prefix + LEASE_MARK) and len(user) == len(prefix + LEASE_MARK) + LEASE_CHARS


def _checked(principal: Principal, prefix: str, default_issuer: str, longest: int) -> str:
    name = principal.username
    # SECURITY: a name means a person at the default issuer only; anybody may choose it at another one.
    if name is None or principal.issuer != default_issuer:
        raise _unusable("your token carries no username of the default issuer")
    whole = prefix + name
    # AWS: Redshift keeps the case of quoted names, so that `"Alice"` and `alice` are two users.
    if not name or _USER.fullmatch(whole) is None:
        raise _unusable("your username has characters other than `a-z`, `0-9`, `_`, `.`, `@`, `+`, `-`")
    # SECURITY: sessions of a name that is cut stay where they may be somebody else's, though their lease was revoked.
    if len(whole) > longest:
        raise _unusable(f"your username is too long: with its prefix it may have {longest} characters")
    if whole in RESERVED_WORDS or name in SUPERUSERS:
        raise _unusable("your username is a reserved word of the database")
    if name.startswith((LEASE_MARK, ROLE_MARK)):
        raise _unusable("usernames that begin as those of leases and roles do are kept for these")
    return name


def _unusable(why: str) -> AccessDenied:
    return AccessDenied(Reason.NOT_PERMITTED, f"you cannot have a database user: {why}", hint=_HINT)
