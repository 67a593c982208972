"""Where a client gets tokens: the token endpoint and the start of the device flow."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from penstock_server.dev.issuer.authorization import SignInPages
from penstock_server.dev.issuer.exchange import Request, Response, json_response, oauth_error
from penstock_server.dev.issuer.grants import DEVICE_SECONDS, POLL_SECONDS, REFRESH_SECONDS, ExpiringStore, Polled
from penstock_server.dev.issuer.people import DevClient
from penstock_server.dev.issuer.signing import base64url
from penstock_server.dev.issuer.tokens import ACCESS_TOKEN_LIFETIME, SignIn, TokenWriter
from penstock_server.model.clock import Clock

DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class TokenEndpoint:
    """Redeems codes, devices and refresh tokens. Clients are public: PKCE and single use are what protects them."""

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        clients: tuple[DevClient, ...],
        pages: SignInPages,
        writer: TokenWriter,
        clock: Clock,
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._clients = {client.client_id: client for client in clients}
        self._pages = pages
        self._writer = writer
        self._refreshable: ExpiringStore[SignIn] = ExpiringStore(clock, seconds=REFRESH_SECONDS)
        self._grants: Mapping[str, Callable[[Request, DevClient], Response]] = {
            "authorization_code": self._code,
            "refresh_token": self._refresh,
            DEVICE_GRANT: self._device,
        }

    def token(self, request: Request) -> Response:
        """Give tokens for a grant."""
        client = self._clients.get(request.field("client_id"))
        if client is None:
            return oauth_error("invalid_client", "no such client")
        if request.field("resource") not in {"", self._audience}:
            return oauth_error("invalid_target", "tokens are issued for one audience only")
        grant = self._grants.get(request.field("grant_type"))
        if grant is None:
            return oauth_error("unsupported_grant_type", "authorization_code, refresh_token and device_code are known")
        return grant(request, client)

    def begin_device(self, request: Request) -> Response:
        """Give a device the code that its user types in a browser."""
        client = self._clients.get(request.field("client_id"))
        if client is None or not client.device_flow:
            return oauth_error("unauthorized_client", "this client may not use the device flow")
        scopes = tuple(request.field("scope").split())
        device_code, user_code = self._pages.devices.begin(client_id=client.client_id, scopes=scopes)
        return json_response(
            {
                "device_code": device_code,
                "user_code": user_code,
                "verification_uri": f"{self._issuer}/device",
                "verification_uri_complete": f"{self._issuer}/device?user_code={user_code}",
                "expires_in": DEVICE_SECONDS,
                "interval": POLL_SECONDS,
            }
        )

    def _code(self, request: Request, client: DevClient) -> Response:
        # Taken whatever comes next: a code that was shown with a wrong verifier is spent.
        code = self._pages.codes.take(request.field("code"))
        verifier = request.field("code_verifier")
        if (
            code is None
            or code.request.client_id != client.client_id
            or code.request.redirect_uri != request.field("redirect_uri")
            or not _VERIFIER.fullmatch(verifier)
            or base64url(hashlib.sha256(verifier.encode()).digest()) != code.request.code_challenge
        ):
            return oauth_error("invalid_grant", "the code is spent, expired, or was not issued for this request")
        return self._tokens(code.sign_in)

    def _device(self, request: Request, client: DevClient) -> Response:
        polled = self._pages.devices.poll(request.field("device_code"), client.client_id)
        if isinstance(polled, Polled):
            return oauth_error(polled.value, "no tokens")
        return self._tokens(polled)

    def _refresh(self, request: Request, client: DevClient) -> Response:
        # Each refresh token serves once; the answer holds the next one.
        sign_in = self._refreshable.take(request.field("refresh_token"))
        if sign_in is None or sign_in.client_id != client.client_id:
            return oauth_error("invalid_grant", "the refresh token is spent or expired")
        return self._tokens(replace(sign_in, nonce=""))

    def _tokens(self, sign_in: SignIn) -> Response:
        access_token = self._writer.access_token(sign_in, {})
        answer: dict[str, object] = {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": int(ACCESS_TOKEN_LIFETIME.total_seconds()),
            "scope": " ".join(sign_in.scopes),
        }
        if "openid" in sign_in.scopes:
            answer["id_token"] = self._writer.id_token(sign_in, access_token)
        if "offline_access" in sign_in.scopes:
            answer["refresh_token"] = self._refreshable.add(sign_in)
        return json_response(answer)
