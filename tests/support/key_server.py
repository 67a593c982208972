"""An HTTP server on a loopback port whose answers a test decides, and which counts what it was asked."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(slots=True, kw_only=True)
class Page:
    """What is answered at one path. `drip_seconds` is the pause before each byte of the body."""

    body: bytes = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drip_seconds: float = 0.0
    announced_length: int | None = None


@dataclass(slots=True, kw_only=True)
class KeyServer:
    """The running server: change `pages`, read `asked` (paths in their order). `gate` holds answers back."""

    origin: str
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def publish(self, path: str, body: str, **headers: str) -> None:
        """Answer this text at this path."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[path] = Page(body=body.encode(), headers=named)


@contextmanager
def key_server(tls: ssl.SSLContext | None = None, *, host: str = "127.0.0.1") -> Iterator[KeyServer]:
    """Serve until the block ends."""
    server = _Server((host, 0), _Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    scheme = "http" if tls is None else "https"
    server.state = KeyServer(origin=f"{scheme}://{host}:{server.server_address[1]}")
    server.state.gate.set()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.state
    finally:
        server.state.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    state: KeyServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are what some tests are about."""
        del request, client_address


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10

    def do_GET(self) -> None:
        state = self.server.state
        state.asked.append(self.path)
        state.gate.wait(10)
        page = state.pages.get(self.path, Page(status=404))
        self.send_response(page.status)
        for name, value in page.headers.items():
            self.send_header(name, value)
        length = len(page.body) if page.announced_length is None else page.announced_length
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if not page.drip_seconds:
            self.wfile.write(page.body)
            return
        for byte in page.body:
            time.sleep(page.drip_seconds)
            self.wfile.write(bytes((byte,)))
            self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate authority made for a test; `certificate` is its PEM file."""

    certificate: Path
    issue: Callable[..., ssl.SSLContext]


def make_authority(folder: Path) -> Authority:
    """Make an authority in this folder. `issue(ip)` gives the server side of TLS for an address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    now = datetime.datetime.now(datetime.UTC)

    def certificate(
        subject: x509.Name, public: ec.EllipticCurvePublicKey, *, authority: bool
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )

    root = certificate(name, key.public_key(), authority=True).sign(key, hashes.SHA256())
    path = folder / "authority.pem"
    path.write_bytes(root.public_bytes(Encoding.PEM))

    def issue(address: str = "127.0.0.1") -> ssl.SSLContext:
        leaf_key = ec.generate_private_key(ec.SECP256R1())
        leaf_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test server")])
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        leaf = certificate(leaf_name, leaf_key.public_key(), authority=False).add_extension(names, critical=False)
        chain = folder / "server.pem"
        private = leaf_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain.write_bytes(leaf.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM) + private)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context

    return Authority(certificate=path, issue=issue)
