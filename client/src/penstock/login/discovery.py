"""Where a provider's endpoints are: asked of the provider, believed for its own issuer only."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.login.errors import SignInFailed
from penstock.login.web import Answer, Web, require_safe


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """The endpoints of one issuer. `answers_with_issuer` tells whether its redirects carry `iss` (RFC 9207)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    device_authorization_endpoint: str | None
    revocation_endpoint: str | None
    answers_with_issuer: bool


def discover(issuer: str, web: Web) -> Provider:
    """Read the provider's discovery document.

    Raises:
        SignInFailed: it cannot be had, names another issuer, or an endpoint that is not safe, or lacks S256.
    Source: OpenID Connect Discovery 1.0 section 4.3.
    """
    answer = web.get(issuer.removesuffix("/") + "/.well-known/openid-configuration")
    if answer.status != 200 or answer.text("issuer") != issuer:
        # SECURITY: a document of another issuer would send code and verifier to somebody else (mix-up).
        raise SignInFailed(f"the discovery document of `{issuer}` is missing or names another issuer")
    methods = answer.members.get("code_challenge_methods_supported")
    if isinstance(methods, list) and "S256" not in methods:
        raise SignInFailed(f"`{issuer}` does not support PKCE with S256")
    return Provider(
        issuer=issuer,
        authorization_endpoint=_endpoint(answer, "authorization_endpoint"),
        token_endpoint=_endpoint(answer, "token_endpoint"),
        device_authorization_endpoint=_optional(answer, "device_authorization_endpoint"),
        revocation_endpoint=_optional(answer, "revocation_endpoint"),
        answers_with_issuer=answer.members.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(answer: Answer, name: str) -> str:
    address = answer.text(name)
    if address is None:
        raise SignInFailed(f"the discovery document has no {name}")
    require_safe(address)
    return address


def _optional(answer: Answer, name: str) -> str | None:
    return _endpoint(answer, name) if name in answer.members else None
