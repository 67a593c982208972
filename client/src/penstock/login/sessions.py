"""Sign-ins that are kept: one for each profile and server."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from penstock.login.metadata import SignInMetadata
from penstock.login.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Who signed in where: the tokens, and what renews them."""

    profile: str
    server: str
    metadata: SignInMetadata
    tokens: Tokens

    def to_json(self) -> str:
        """Give it as text, tokens included: for a store that only its user can read."""
        return json.dumps({"version": 1, **asdict(self)})


def session_from_json(text: str, *, profile: str, server: str) -> Session | None:
    """Read what `to_json` wrote, None where it is anything else or of another profile or server."""
    try:
        members: dict[str, Any] = json.loads(text)
        metadata, tokens = members["metadata"], members["tokens"]
        session = Session(
            profile=str(members["profile"]),
            server=str(members["server"]),
            metadata=SignInMetadata(
                issuer=str(metadata["issuer"]),
                client_id=str(metadata["client_id"]),
                scopes=tuple(str(scope) for scope in metadata["scopes"]),
                audience=str(metadata["audience"]),
                device_flow=metadata["device_flow"] is True,
            ),
            tokens=Tokens(
                access_token=str(tokens["access_token"]),
                expires_at=float(tokens["expires_at"]),
                refresh_token=None if tokens["refresh_token"] is None else str(tokens["refresh_token"]),
            ),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    # SECURITY: a token is for the server that it was kept for; a file that was copied over another is not read.
    return session if (session.profile, session.server) == (profile, server) else None


class Sessions(Protocol):
    """Keeps sign-ins where only this user can read them."""

    def load(self, profile: str, server: str) -> Session | None:
        """Give the sign-in of a profile at a server, None where there is none that can be read."""
        ...

    def save(self, session: Session) -> None:
        """Keep a sign-in in place of the one before."""
        ...

    def forget(self, profile: str, server: str) -> None:
        """Remove a sign-in, if there is one."""
        ...


def cache_folder() -> Path:
    """Give `$XDG_CACHE_HOME/penstock`, by default `~/.cache/penstock`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification has relative paths ignored.
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return root / "penstock"


def name_of(profile: str, server: str) -> str:
    """Give a file name for a profile and a server: a digest, since both may hold any character."""
    parts = (profile.encode(), server.encode())
    digest = hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts))
    return digest.hexdigest()[:40]
