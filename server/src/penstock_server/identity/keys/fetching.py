"""One GET of a small document, with every bound that a stranger's server needs.

Blocking: runs in the executor of `issuer_keys`. `urllib` is not used because it follows redirects, obeys proxy
variables, and bounds each read but not the whole.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import re
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from penstock_server.identity.keys.key_set import MAX_BYTES, KeysUnreadable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_URL_CHARS: Final = re.compile(r"[!-~]+")
_MAX_AGE: Final = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})(?:$|[,\s])", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """An address that may be fetched: https, or http on a loopback host. `target` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        return self.scheme, self.host, self.port


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A document, and for how many seconds its server says that it holds (None = it does not say)."""

    body: bytes
    max_age_seconds: int | None


def read_url(text: str) -> Url:
    """Read an address.

    Raises:
        KeysUnreadable: not https (http is for loopback hosts), or with user, password or fragment.
    """
    if _URL_CHARS.fullmatch(text) is None:
        raise KeysUnreadable("the address holds characters that no address has")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise KeysUnreadable("the address cannot be read") from None
    host = parts.hostname or ""
    if not host or "@" in parts.netloc or "#" in text:
        raise KeysUnreadable("the address has no host, or has user, password or fragment")
    if parts.scheme == "http":
        if not is_loopback_name(host):
            raise KeysUnreadable("the address is http on a host that is not loopback; use https")
    elif parts.scheme != "https":
        raise KeysUnreadable("the address is not https")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Url(scheme=parts.scheme, host=host, port=port or (443 if parts.scheme == "https" else 80), target=target)


def is_loopback_name(host: str) -> bool:
    """Tell whether this is `localhost` or a literal loopback address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def fetch(url: Url, *, tls: ssl.SSLContext, deadline: float) -> Fetched:
    """Get a document of at most 512 KiB before `deadline` (a reading of `time.monotonic`), without redirects.

    Raises:
        KeysUnreadable: anything else than a complete answer 200 in time.
    """
    try:
        with _connected(url, tls, deadline) as connection:
            return _get(url, connection, deadline)
    except TimeoutError:
        raise KeysUnreadable(f"`{url.host}` did not answer in time") from None
    except ssl.SSLError as problem:
        raise KeysUnreadable(f"`{url.host}` has no certificate that is trusted here ({problem.reason})") from None
    except (OSError, http.client.HTTPException, UnicodeError) as problem:
        raise KeysUnreadable(f"`{url.host}` cannot be asked ({type(problem).__name__})") from None


def _get(url: Url, connection: socket.socket, deadline: float) -> Fetched:
    asked = http.client.HTTPConnection(url.host, url.port)
    # The library needs of its socket only what _Bounded has; setting it keeps it from connecting by itself.
    asked.sock = _Bounded(connection, deadline)
    asked.request("GET", url.target, headers={"Accept": "application/json", "Connection": "close", "Host": _host(url)})
    response = asked.getresponse()
    if response.status != http.client.OK:
        raise KeysUnreadable(f"`{url.host}` answered {response.status}, not 200 (redirects are not followed)")
    body = response.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise KeysUnreadable(f"`{url.host}` sent more than 512 KiB")
    if response.length:
        raise KeysUnreadable(f"`{url.host}` ended its answer early")
    found = _MAX_AGE.search(response.headers.get("Cache-Control", ""))
    return Fetched(body=body, max_age_seconds=int(found[1]) if found else None)


def _host(url: Url) -> str:
    host = f"[{url.host}]" if ":" in url.host else url.host
    return host if url.port == {"https": 443, "http": 80}[url.scheme] else f"{host}:{url.port}"


def _connected(url: Url, tls: ssl.SSLContext, deadline: float) -> socket.socket:
    problem: OSError | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM):
        # SECURITY: `localhost` is what a resolver says it is; plain text goes to no other machine.
        if url.scheme == "http" and not ipaddress.ip_address(address[0]).is_loopback:
            raise KeysUnreadable(f"`{url.host}` is not a loopback address; use https")
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(_left(deadline))
            connection.connect(address)
            if url.scheme == "http":
                return connection
            # The handshake as a whole is bounded by the time-out of the socket.
            connection.settimeout(_left(deadline))
            return tls.wrap_socket(connection, server_hostname=url.host)
        except ssl.SSLError:
            connection.close()
            raise
        except OSError as failure:
            connection.close()
            problem = failure
    raise problem or OSError("no address")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Bounded:
    """A socket as `http.client` uses it, whose reads all end at one deadline: a server that drips is cut off."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def sendall(self, data: ReadableBuffer) -> None:
        self._connection.settimeout(_left(self._deadline))
        self._connection.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        del mode
        return io.BufferedReader(_BoundedReader(self._connection, self._deadline))

    def close(self) -> None:
        """Nothing: the connection belongs to `fetch`."""


class _BoundedReader(io.RawIOBase):
    def __init__(self, connection: socket.socket, deadline: float) -> None:
        super().__init__()
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        self._connection.settimeout(_left(self._deadline))
        return self._connection.recv_into(buffer)
