"""HTTP on a loopback address: turns requests into values and answers back into bytes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import ClassVar, Final
from urllib.parse import parse_qsl, urlsplit

from penstock_server.dev.issuer.exchange import Request, Response
from penstock_server.errors import ConfigurationError

Answerer = Callable[[Request], Response]

_MAX_FORM_BYTES: Final = 16 * 1024
_FORM: Final = "application/x-www-form-urlencoded"
_HEADERS: Final = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; "
        "form-action 'self' http://127.0.0.1:* http://localhost:*",
    ),
)


def loopback_address(host: str) -> str:
    """Give the literal loopback address of a host.

    Raises:
        ConfigurationError: any other address or name.
    """
    literal = "127.0.0.1" if host == "localhost" else host
    try:
        if ip_address(literal).is_loopback:
            return literal
    except ValueError:
        pass
    # SECURITY: whoever reaches this provider may be anybody; it asks for no password.
    raise ConfigurationError(
        (f"the development issuer refuses to listen on `{host}`: it asks for no password, so only loopback will do",)
    )


class Listener:
    """Serves on one loopback port, in daemon threads."""

    def __init__(self, host: str, port: int) -> None:
        """Bind, and not answer yet; port 0 takes a free one.

        Raises:
            ConfigurationError: the address is not loopback.
            OSError: the port is taken.
        """
        address = loopback_address(host)
        self._server = _Server((address, port), address_family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        name = f"[{address}]" if ":" in address else address
        self.origin = f"http://{name}:{self._server.server_address[1]}"
        self._thread: threading.Thread | None = None

    def start(self, answer: Answerer) -> None:
        """Begin to answer."""
        self._server.answer = answer
        self._server.authority = self.origin.removeprefix("http://")
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="dev-issuer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and let go of the port."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Threads of connections that a browser keeps open are not waited for.
    block_on_close = False
    answer: Answerer
    authority: str

    def __init__(self, address: tuple[str, int], *, address_family: socket.AddressFamily) -> None:
        self.address_family = address_family
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout: ClassVar[float] = 10

    def do_GET(self) -> None:
        self._answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        type_ = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if not length.isdecimal() or int(length) > _MAX_FORM_BYTES or type_ != _FORM:
            self._refuse()
            return
        self._answer(self.rfile.read(int(length)).decode("utf-8", "replace"))

    def _answer(self, fields: str) -> None:
        # SECURITY: a page of a stranger whose name was rebound to 127.0.0.1 sends its own Host.
        if self.headers.get_all("Host") != [self.server.authority]:
            self._refuse()
            return
        pairs = parse_qsl(fields, keep_blank_values=True)
        names = [name for name, _ in pairs]
        request = Request(
            method=self.command,
            path=urlsplit(self.path).path,
            fields={name: value for name, value in pairs if names.count(name) == 1},
            origin=self.headers.get("Origin"),
        )
        self._send(self.server.answer(request))

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in _HEADERS:
            self.send_header(name, value)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        if response.location is not None:
            self.send_header("Location", response.location)
        self.end_headers()
        self.wfile.write(response.body)

    def _refuse(self) -> None:
        self.close_connection = True
        self._send(Response(status=HTTPStatus.BAD_REQUEST, content_type="text/plain", body=b"bad request\n"))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Log nothing: addresses hold codes."""
