"""An AWS container credentials endpoint on 127.0.0.1, for the programs of one user.

SECURITY: port and token are new at each start, and told once the port is bound. A browser page cannot ask: it has no
token, its requests carry `Origin`, `Referer` or `Sec-Fetch-...`, and a name that was rebound to 127.0.0.1 is no
exact `Host`; nothing of CORS is ever answered (tests/unit/delivery/test_container_endpoint.py).

Source: AWS SDKs and Tools Reference Guide, Container credential provider.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import threading
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self

from penstock.delivery.forms import container
from penstock.delivery.renewal import RenewingSession
from penstock.errors import AccessDenied, InvalidRequest, NotFound, PenstockError, Unauthenticated, Unavailable

_HOST: Final = "127.0.0.1"
_PATH: Final = "/credentials"
_MOST_AT_ONCE: Final = 32
_READ_SECONDS: Final = 10.0


class ContainerEndpoint:
    """Serves one session while the context is open, in threads of its own."""

    def __init__(self, renewing: RenewingSession) -> None:
        """Bind a free port; nothing is answered before the context opens."""
        self._token = secrets.token_urlsafe(32)
        self._server = _Server(renewing, self._token)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    def __repr__(self) -> str:
        return f"ContainerEndpoint(port={self._server.server_port})"

    @property
    def variables(self) -> dict[str, str]:
        """The two variables by which AWS's SDKs find it. The second is a secret."""
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{_HOST}:{self._server.server_port}{_PATH}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": self._token,
        }

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = False
    request_queue_size = 64

    def __init__(self, renewing: RenewingSession, token: str) -> None:
        self.renewing = renewing
        self.token = token.encode("ascii")
        self._places = threading.BoundedSemaphore(_MOST_AT_ONCE)
        super().__init__((_HOST, 0), _Handler)

    def server_bind(self) -> None:
        # Not that of HTTPServer, which asks the name service about the address.
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = _HOST, self.socket.getsockname()[1]

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        # SECURITY: connections that say nothing hold a thread for ten seconds each; there are only so many.
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a traceback could hold a credential, and whoever hung up knows."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _READ_SECONDS
    server_version = "penstock"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer with the session, or with the reason why there is none."""
        refused = self._refused()
        if refused is not None:
            self._answer(refused, _problem(refused.name, "this endpoint does not answer such a request"))
            return
        try:
            session = self.server.renewing.current()
        except PenstockError as error:
            hint = f"; {error.hint}" if error.hint else ""
            self._answer(_status(error), _problem(error.reason or "PENSTOCK", f"{error.message}{hint}"))
        except Exception as error:  # noqa: BLE001 - its text could hold a secret
            fault = _problem("INTERNAL", f"penstock itself failed: {type(error).__name__}")
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, fault)
        else:
            self._answer(HTTPStatus.OK, container(session))

    def _refused(self) -> HTTPStatus | None:
        headers = self.headers
        if headers.get_all("Host") != [f"{_HOST}:{self.server.server_port}"]:
            return HTTPStatus.FORBIDDEN
        if _of_a_browser(headers):
            return HTTPStatus.FORBIDDEN
        given = headers.get_all("Authorization") or []
        if len(given) != 1 or not hmac.compare_digest(given[0].encode("utf-8", "surrogateescape"), self.server.token):
            return HTTPStatus.UNAUTHORIZED
        return None if self.path == _PATH else HTTPStatus.NOT_FOUND

    def _answer(self, status: HTTPStatus, body: str) -> None:
        raw = body.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(raw)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no GET, without repeating anything of it."""
        self.close_connection = True
        self._answer(HTTPStatus(code), _problem(HTTPStatus(code).name, "this endpoint does not answer such a request"))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Write nothing: a request line is whatever somebody sent."""


def _of_a_browser(headers: Message) -> bool:
    return any(name.lower() in {"origin", "referer"} or name.lower().startswith("sec-") for name in headers)


def _problem(code: str, message: str) -> str:
    return json.dumps({"code": code, "message": message})


def _status(error: PenstockError) -> HTTPStatus:
    match error:
        case Unauthenticated():
            return HTTPStatus.UNAUTHORIZED
        case AccessDenied():
            return HTTPStatus.FORBIDDEN
        case NotFound():
            return HTTPStatus.NOT_FOUND
        case InvalidRequest():
            return HTTPStatus.BAD_REQUEST
        case Unavailable():
            return HTTPStatus.SERVICE_UNAVAILABLE
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR
