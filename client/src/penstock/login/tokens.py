"""What the token endpoint gives."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.login.discovery import Provider
from penstock.login.errors import NotSignedIn, SignInFailed
from penstock.login.metadata import SignInMetadata
from penstock.login.web import Answer, Web

_DEFAULT_LIFETIME_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """An access token with its end in seconds since the epoch, and what renews it, or None."""

    access_token: str
    expires_at: float
    refresh_token: str | None

    def __repr__(self) -> str:
        return f"Tokens(expires_at={self.expires_at})"


def redeem(provider: Provider, metadata: SignInMetadata, grant: dict[str, str], web: Web, *, now: float) -> Tokens:
    """Exchange a grant for tokens.

    Raises:
        SignInFailed: the provider refuses, or answers with something else than a bearer token.
    """
    answer = ask(provider, metadata, grant, web)
    if answer.status != 200:
        raise SignInFailed(f"the provider refused: {error_of(answer)}")
    return tokens_of(answer, now=now)


def refresh(provider: Provider, metadata: SignInMetadata, tokens: Tokens, web: Web, *, now: float) -> Tokens:
    """Renew an access token.

    Raises:
        NotSignedIn: there is nothing to renew it with, or the provider has ended the sign-in.
        SignInFailed: the provider cannot be asked.
    """
    if tokens.refresh_token is None:
        raise NotSignedIn("the sign-in has expired and its provider gave nothing to renew it with")
    answer = ask(provider, metadata, {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token}, web)
    if 400 <= answer.status < 500:
        raise NotSignedIn(f"the provider has ended the sign-in: {error_of(answer)}")
    if answer.status != 200:
        raise SignInFailed(f"the provider answered {answer.status}")
    fresh = tokens_of(answer, now=now)
    # A provider that does not rotate refresh tokens sends none: the old one stays good.
    kept = fresh.refresh_token or tokens.refresh_token
    return Tokens(access_token=fresh.access_token, expires_at=fresh.expires_at, refresh_token=kept)


def ask(provider: Provider, metadata: SignInMetadata, grant: dict[str, str], web: Web) -> Answer:
    """Ask the token endpoint as this public client, for the server's audience."""
    return web.post(provider.token_endpoint, {**grant, "client_id": metadata.client_id, **audience_fields(metadata)})


def audience_fields(metadata: SignInMetadata) -> dict[str, str]:
    """Give the fields that name the audience: `audience` for some providers, `resource` where it is an absolute URI.

    Source: RFC 8707 section 2 (`resource`); RFC 6749 section 3.1 (what a provider does not know, it ignores).
    """
    fields = {"audience": metadata.audience}
    if metadata.audience.startswith(("https://", "urn:")):
        fields["resource"] = metadata.audience
    return fields


def error_of(answer: Answer) -> str:
    """Give the error code of a refusal, never its description: it may repeat what was sent."""
    return (answer.text("error") or f"status {answer.status}")[:64]


def tokens_of(answer: Answer, *, now: float) -> Tokens:
    """Read a successful answer.

    Raises:
        SignInFailed: it holds no bearer access token.
    """
    access_token = answer.text("access_token")
    if access_token is None or (answer.text("token_type") or "").lower() != "bearer":
        raise SignInFailed("the provider answered without a bearer access token")
    lifetime = answer.seconds("expires_in") or _DEFAULT_LIFETIME_SECONDS
    return Tokens(access_token=access_token, expires_at=now + lifetime, refresh_token=answer.text("refresh_token"))
