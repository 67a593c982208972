"""Where a person chooses who to be: the authorization endpoint and the page for devices."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode, urlsplit

from penstock_server.dev.issuer import pages
from penstock_server.dev.issuer.exchange import Request, Response, html_response, redirect
from penstock_server.dev.issuer.grants import (
    CODE_SECONDS,
    DEVICE_SECONDS,
    AuthorizationRequest,
    DeviceSignIns,
    ExpiringStore,
    RedeemableCode,
)
from penstock_server.dev.issuer.people import DevClient, DevUser
from penstock_server.dev.issuer.tokens import SignIn
from penstock_server.model.clock import Clock

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def is_loopback_redirect(uri: str) -> bool:
    """Tell whether this is `http://` on a loopback host with a port, without fragment, user or control characters.

    Source: RFC 8252 section 7.3: any port must be allowed.
    """
    if not uri.isascii() or not uri.isprintable() or " " in uri:
        return False
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme == "http"
        and parts.hostname in _LOOPBACK_HOSTS
        and port is not None
        and "@" not in parts.netloc
        and "#" not in uri
    )


class SignInPages:
    """Serves the pages; what a person chose is redeemed at the token endpoint."""

    def __init__(
        self, *, issuer: str, users: tuple[DevUser, ...], clients: tuple[DevClient, ...], clock: Clock
    ) -> None:
        self._issuer = issuer
        self._users = users
        self._clients = {client.client_id: client for client in clients}
        self._clock = clock
        self._asked: ExpiringStore[AuthorizationRequest] = ExpiringStore(clock, seconds=DEVICE_SECONDS)
        self.codes: ExpiringStore[RedeemableCode] = ExpiringStore(clock, seconds=CODE_SECONDS)
        self.devices = DeviceSignIns(clock)

    def authorize(self, request: Request) -> Response:
        """List the users for a well-formed authorization request."""
        client_id, redirect_uri = request.field("client_id"), request.field("redirect_uri")
        # A request that names no known client or a strange address is never sent back there (RFC 6749, 4.1.2.1).
        if client_id not in self._clients or not is_loopback_redirect(redirect_uri):
            return _refused("The application or its return address is not known here.")
        asked = AuthorizationRequest(
            client_id=client_id,
            redirect_uri=redirect_uri,
            state=request.field("state"),
            scopes=tuple(request.field("scope").split()),
            nonce=request.field("nonce"),
            code_challenge=request.field("code_challenge"),
        )
        if request.field("response_type") != "code":
            return self._back(asked, error="unsupported_response_type")
        if request.field("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(asked.code_challenge):
            return self._back(asked, error="invalid_request", error_description="PKCE with S256 is required")
        page = pages.choose_user(
            self._users,
            action="/authorize",
            hidden=(("request", self._asked.add(asked)),),
            purpose=f"{client_id} asks for an access token.",
        )
        return html_response(page)

    def chosen(self, request: Request) -> Response:
        """Send the browser back with a code for the user who was chosen."""
        asked = self._asked.take(request.field("request")) if self._from_our_page(request) else None
        if asked is None:
            return _refused("This sign-in is over. Start again.")
        sign_in = self._sign_in(request, client_id=asked.client_id, scopes=asked.scopes, nonce=asked.nonce)
        if sign_in is None:
            return self._back(asked, error="access_denied")
        return self._back(asked, code=self.codes.add(RedeemableCode(request=asked, sign_in=sign_in)))

    def device(self, request: Request) -> Response:
        """Ask for the code of a device, or list the users for one."""
        if not request.field("user_code"):
            return html_response(pages.enter_code(action="/device"))
        device = self.devices.find(request.field("user_code"))
        if device is None:
            return html_response(pages.enter_code(action="/device", problem="No device waits with that code."))
        page = pages.choose_user(
            self._users,
            action="/device",
            hidden=(("user_code", device.user_code),),
            purpose=f"{device.client_id} on another device that shows {device.user_code} asks for an access token.",
        )
        return html_response(page)

    def device_chosen(self, request: Request) -> Response:
        """Let the device have tokens for the user who was chosen."""
        device = self.devices.find(request.field("user_code")) if self._from_our_page(request) else None
        if device is None:
            return _refused("No device waits with that code.")
        sign_in = self._sign_in(request, client_id=device.client_id, scopes=device.scopes, nonce="")
        self.devices.decide(device, sign_in)
        if sign_in is None:
            return html_response(pages.message("Refused", "The device gets nothing."))
        return html_response(pages.message("Done", "Go back to your terminal; this page may be closed."))

    def _from_our_page(self, request: Request) -> bool:
        return request.origin in {None, self._issuer}

    def _sign_in(self, request: Request, *, client_id: str, scopes: tuple[str, ...], nonce: str) -> SignIn | None:
        user = next((user for user in self._users if user.username == request.field("username")), None)
        if user is None:
            return None
        now = int(self._clock.now().timestamp())
        return SignIn(user=user, client_id=client_id, scopes=scopes, nonce=nonce, signed_in_at=now)

    def _back(self, asked: AuthorizationRequest, **answer: str) -> Response:
        # `iss` is RFC 9207: the client can tell whose answer this is.
        query = urlencode({**answer, "state": asked.state, "iss": self._issuer})
        return redirect(f"{asked.redirect_uri}{'&' if '?' in asked.redirect_uri else '?'}{query}")


def _refused(text: str) -> Response:
    return html_response(pages.message("Not possible", text), HTTPStatus.BAD_REQUEST)
