"""What is going on in a warehouse: its sessions, and the users that are ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SESSION_NAME_CHARS: Final = 50
"""AWS: STV_SESSIONS.user_name is a CHAR(50); a longer name is cut."""
_ORIGINS: Final = ("IAM", "IAMA")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionUser:
    """The user of a session, as far as its name tells: `cut` where the end of it may be missing."""

    name: str
    cut: bool

    def may_be(self, user: str) -> bool:
        """Tell whether the session may be one of a user."""
        return user.startswith(self.name) if self.cut else user == self.name


def session_user(shown: str) -> SessionUser | None:
    """Read the name of a session: `USER`, `IAM:USER` or `IAMA:USER`, with `:GROUP` behind it; None = of other form.

    Source: Redshift management guide, "Generating IAM database credentials"; database guide, STV_SESSIONS.
    """
    name = shown.rstrip(" ")
    parts = name.split(":")
    whole = len(name) < SESSION_NAME_CHARS
    if len(parts) == 1:
        return SessionUser(name=name, cut=not whole)
    if parts[0] not in _ORIGINS:
        return None
    return SessionUser(name=parts[1], cut=not whole and len(parts) == 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class WarehouseUser:
    """A database user that is ours; `blocked` = no session of it can begin."""

    name: str
    blocked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WarehouseLook:
    """Users that are ours, and whose sessions there are, at one instant."""

    users: tuple[WarehouseUser, ...]
    sessions: tuple[SessionUser, ...]
