"""What a client must know to sign in: the server says it to anybody."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInMetadata:
    """One identity provider that the server accepts.

    `issuer` is its exact string. `audience` is what access tokens must be for. `device_flow` tells whether the
    operator permits sign-in by code on another device, which can be phished (RFC 8628 section 5.4).
    """

    issuer: str
    client_id: str
    scopes: tuple[str, ...]
    audience: str
    device_flow: bool
