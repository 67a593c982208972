"""The address of a server, and the channel to it.

SECURITY: a bearer never goes in plain text to a host that is not loopback. Plain text is possible only for a literal
loopback address or `localhost`, which is taken as 127.0.0.1 and never looked up; such a channel ignores `http_proxy`.
What is refused is refused before anything is sent (tests/unit/client/test_endpoint.py).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

from penstock.errors import invalid

LOOPBACK_PORT = 50051
TLS_PORT = 443

MAX_RECEIVE_BYTES = 16 * 1024 * 1024
"""Parts of an answer are about 1 MiB; one row of an answer is never split, so a wide one may be larger."""

MAX_SEND_BYTES = 4 * 1024 * 1024
"""A statement has at most 256 KiB; the rest is for parameters."""

_KEEPALIVE_MS = 60_000
_KEEPALIVE_TIMEOUT_MS = 20_000
_MAX_METADATA_BYTES = 16 * 1024

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.ASCII)
_TARGET_RULE = "is a host and a port, such as `broker.example.com:443` or `127.0.0.1:50051`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a server listens. `host` is a lower-case name or an address without brackets."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether the host is this machine for certain, with no name to be looked up."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How to speak TLS: `ca` is a PEM of trusted authorities (None: those of gRPC); the rest is for mutual TLS."""

    ca: bytes | None
    certificate: bytes | None
    private_key: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """A way to a server that may carry a bearer. `tls` None means plain text, which only a loopback host has."""

    endpoint: Endpoint
    tls: Tls | None

    def open(self) -> grpc.aio.Channel:
        """Open a channel, which belongs to the running event loop; it connects at its first call."""
        options: list[tuple[str, str | int]] = [
            ("grpc.max_receive_message_length", MAX_RECEIVE_BYTES),
            ("grpc.max_send_message_length", MAX_SEND_BYTES),
            ("grpc.max_metadata_size", _MAX_METADATA_BYTES),
            ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
            ("grpc.keepalive_permit_without_calls", 0),
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.service_config_disable_resolution", 1),
        ]
        if self.tls is None:
            # SECURITY: with `http_proxy` set, gRPC would hand a plain-text call to the proxy.
            options.append(("grpc.enable_http_proxy", 0))
            return grpc.aio.insecure_channel(_plain_target(self.endpoint), options=options)
        credentials = grpc.ssl_channel_credentials(self.tls.ca, self.tls.private_key, self.tls.certificate)
        return grpc.aio.secure_channel(_target(self.endpoint), credentials, options=options)


def parse(target: str) -> Endpoint:
    """Read `HOST`, `HOST:PORT`, `ADDRESS:PORT` or `[IPV6]:PORT`.

    Without a port it is 50051 for a loopback host and 443 for any other.

    Raises:
        InvalidRequest: the text is nothing of the kind; a scheme (`https://`, `dns:`, `unix:`) is not accepted.
    """
    text = target.strip().lower()
    bracketed = re.fullmatch(r"\[([0-9a-f:.]+)\](?::([0-9]{1,5}))?", text)
    host, port = bracketed.groups() if bracketed else _split(text)
    if not _is_address(host) and not (_NAME.fullmatch(host) and not bracketed and len(host) <= 253):
        raise invalid("target", _TARGET_RULE)
    if port is not None and not 0 < int(port) < 65536:
        raise invalid("target", "has a port between 1 and 65535")
    endpoint = Endpoint(host=host, port=int(port or 0))
    if port is None:
        return Endpoint(host=host, port=LOOPBACK_PORT if endpoint.loopback else TLS_PORT)
    return endpoint


def transport(
    target: str,
    *,
    tls: bool | None = None,
    ca: str | Path | bytes | None = None,
    client_certificate: tuple[str | Path, str | Path] | None = None,
) -> Transport:
    """Decide how to speak to a server: TLS, unless it is on this machine and nothing asks for TLS.

    `ca` is a PEM, or the path of one; `client_certificate` the paths of a certificate chain and its private key.

    Raises:
        InvalidRequest: plain text is asked for a host that is not loopback, or a file cannot be read.
    """
    endpoint = parse(target)
    secure = tls if tls is not None else not endpoint.loopback or ca is not None or client_certificate is not None
    if not secure:
        if not endpoint.loopback:
            raise invalid(
                "tls",
                f"must be on for `{endpoint}`: a token goes in plain text to a loopback address only",
                hint="leave `tls` out, or reach the server through TLS",
            )
        if ca is not None or client_certificate is not None:
            raise invalid("tls", "must be on where an authority or a client certificate is given")
        return Transport(endpoint=endpoint, tls=None)
    certificate, private_key = client_certificate or (None, None)
    return Transport(
        endpoint=endpoint,
        tls=Tls(
            ca=None if ca is None else _pem("ca", ca, "CERTIFICATE"),
            certificate=None if certificate is None else _pem("client_certificate", certificate, "CERTIFICATE"),
            private_key=None if private_key is None else _pem("client_certificate", private_key, "PRIVATE KEY"),
        ),
    )


def _split(text: str) -> tuple[str, str | None]:
    if _is_address(text):
        return text, None
    host, colon, port = text.rpartition(":")
    if not colon:
        return text, None
    if not re.fullmatch(r"[0-9]{1,5}", port) or ":" in host:
        raise invalid("target", _TARGET_RULE)
    return host, port


def _is_address(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return isinstance(address, ipaddress.IPv4Address) or address.scope_id is None


def _plain_target(endpoint: Endpoint) -> str:
    # SECURITY: `localhost` is never looked up, since a hosts file or a name server could send it elsewhere.
    host = "127.0.0.1" if endpoint.host == "localhost" else endpoint.host
    return _target(Endpoint(host=host, port=endpoint.port))


def _target(endpoint: Endpoint) -> str:
    if not _is_address(endpoint.host):
        return f"dns:///{endpoint}"
    return f"ipv6:{endpoint}" if ":" in endpoint.host else f"ipv4:{endpoint}"


def _pem(field: str, source: str | Path | bytes, kind: str) -> bytes:
    if isinstance(source, bytes):
        text = source
    else:
        try:
            text = Path(source).read_bytes()
        except OSError as error:
            raise invalid(field, f"`{source}` cannot be read: {error.strerror}") from error
    if not re.search(rb"-----BEGIN ([A-Z]+ )?" + kind.encode() + rb"-----", text):
        raise invalid(field, f"holds no PEM block of the kind {kind}")
    return text
