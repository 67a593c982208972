"""Sign-in in a browser: authorization code with PKCE, answered on a loopback port.

Source: RFC 8252 (native apps), RFC 7636 (PKCE, S256 only), RFC 9207 (`iss`), RFC 9700.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import queue
import secrets
import sys
import threading
import time
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from penstock.login.discovery import Provider, discover
from penstock.login.errors import SignInFailed
from penstock.login.metadata import SignInMetadata
from penstock.login.tokens import Tokens, audience_fields, redeem
from penstock.login.web import Web

OpenBrowser = Callable[[str], bool]
"""Opens an address and tells whether it could."""

_PATIENCE_SECONDS: Final = 300.0
_PATH: Final = "/callback"
_PAGE: Final = (
    b'<!doctype html><html lang="en"><meta charset="utf-8"><title>Penstock</title>'
    b"<p>Penstock has its answer. You can close this page and go back to your terminal.</p></html>"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """What one sign-in sent, and what its answer must match."""

    address: str
    redirect_uri: str
    state: str
    verifier: str


def open_in_browser(address: str) -> bool:
    """Open the user's browser where there is a desktop; a text browser in the same terminal is not one."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    return webbrowser.open(address)


def sign_in_with_browser(
    metadata: SignInMetadata,
    web: Web,
    *,
    show: Callable[[str], None],
    open_browser: OpenBrowser = open_in_browser,
    patience_seconds: float = _PATIENCE_SECONDS,
) -> Tokens:
    """Sign in; where no browser opens, `show` gets the address for the user to open.

    Raises:
        SignInFailed: refused, not answered in time, or answered by somebody else than the provider.
    """
    provider = discover(metadata.issuer, web)
    with _Callback() as callback:
        authorization = authorization_request(provider, metadata, redirect_uri=callback.redirect_uri)
        callback.expect(authorization.state)
        if not open_browser(authorization.address):
            show(authorization.address)
        answer = callback.wait(patience_seconds)
    grant = {
        "grant_type": "authorization_code",
        "code": code_of(answer, provider),
        "redirect_uri": authorization.redirect_uri,
        "code_verifier": authorization.verifier,
    }
    return redeem(provider, metadata, grant, web, now=time.time())


def authorization_request(provider: Provider, metadata: SignInMetadata, *, redirect_uri: str) -> Authorization:
    """Build the address to open, with a state and a verifier that were never used before."""
    verifier, state = secrets.token_urlsafe(64), secrets.token_urlsafe(32)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode("ascii")
    fields = {
        "response_type": "code",
        "client_id": metadata.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(metadata.scopes),
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        **audience_fields(metadata),
    }
    joint = "&" if urlsplit(provider.authorization_endpoint).query else "?"
    address = f"{provider.authorization_endpoint}{joint}{urlencode(fields)}"
    return Authorization(address=address, redirect_uri=redirect_uri, state=state, verifier=verifier)


def code_of(answer: dict[str, str], provider: Provider) -> str:
    """Give the code of an answer whose state was right.

    Raises:
        SignInFailed: the provider refused, or another provider answered.
    """
    # SECURITY: mix-up: an attacker's provider answers, and the code of the honest one is sent to the attacker.
    if answer.get("iss", provider.issuer) != provider.issuer or (provider.answers_with_issuer and "iss" not in answer):
        raise SignInFailed("the answer comes from another provider than the one that was asked")
    if "error" in answer:
        raise SignInFailed(f"the provider refused: {answer['error'][:64]!r}")
    code = answer.get("code", "")
    if not code:
        raise SignInFailed("the answer holds no code")
    return code


class _Callback:
    """A loopback port that waits for one answer with the right state; anything else is turned away."""

    def __init__(self) -> None:
        self._server = _CallbackServer(("127.0.0.1", 0), _CallbackHandler)
        self.redirect_uri = f"http://127.0.0.1:{self._server.server_address[1]}{_PATH}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> _Callback:
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def expect(self, state: str) -> None:
        self._server.state = state
        self._thread.start()

    def wait(self, seconds: float) -> dict[str, str]:
        try:
            return self._server.answers.get(timeout=seconds)
        except queue.Empty:
            raise SignInFailed(f"nobody signed in within {seconds:.0f} seconds") from None


class _CallbackServer(ThreadingHTTPServer):
    # Browsers open connections ahead and leave them idle: one thread each, none waited for.
    daemon_threads = True
    block_on_close = False
    state = ""

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.answers: queue.Queue[dict[str, str]] = queue.Queue(maxsize=1)
        super().__init__(address, handler)


class _CallbackHandler(BaseHTTPRequestHandler):
    server: _CallbackServer
    timeout: ClassVar[float] = 10

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=20)
        answer = dict(pairs)
        # SECURITY: without the state anybody's page could finish this sign-in with a code of the attacker's account.
        mine = hmac.compare_digest(answer.get("state", "").encode(), self.server.state.encode())
        if parts.path != _PATH or not mine or len(answer) != len(pairs):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        # Answered before it is handed on: handing on ends the server.
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(_PAGE)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(_PAGE)
        if self.server.answers.empty():
            self.server.answers.put(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Log nothing: the address holds the code."""
