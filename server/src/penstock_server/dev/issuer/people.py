"""Who may be chosen, and who asks for tokens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DevUser:
    """Somebody to sign in as. `about` is one line for the page that lists them."""

    username: str
    groups: tuple[str, ...]
    about: str = ""

    @property
    def subject(self) -> str:
        """The stable identifier: never the username, so that nothing comes to rely on their being equal."""
        return f"user-{self.username}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DevClient:
    """A public client; it is sent back to loopback addresses only. `device_flow` permits sign-in by code."""

    client_id: str
    device_flow: bool = False
