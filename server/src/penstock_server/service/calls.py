"""One call as the interceptors and servicers see it."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote

import grpc

from penstock_server.broker.callers import Caller
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestContext

Metadata = Sequence[tuple[str, str | bytes]]

REQUEST_ID_TRAILER = "x-request-id"
"""Follows every answer; log and audit have the same id."""


class Transport(Protocol):
    """What we use of grpc.aio's servicer context."""

    async def write(self, message: bytes) -> None:
        """Send one message of a stream; returns once gRPC has room for the next."""
        ...

    async def read(self) -> object:
        """Receive one message of a stream, or `grpc.aio.EOF`."""
        ...

    def invocation_metadata(self) -> Metadata | None:
        """Give what the client sent before its message."""
        ...

    def set_trailing_metadata(self, trailing_metadata: Metadata) -> None:
        """Set what follows the last message."""
        ...

    def set_code(self, code: grpc.StatusCode) -> None:
        """Set the status code."""
        ...

    def set_details(self, details: str) -> None:
        """Set the status message."""
        ...

    def add_done_callback(self, callback: Callable[[object], None]) -> None:
        """Call back when the last byte of the call is out, or it was cut off."""
        ...

    def peer(self) -> str:
        """Give the peer as `ipv4:127.0.0.1:50000`."""
        ...

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """Give what TLS knows of the peer."""
        ...


@dataclass(slots=True, kw_only=True)
class Call:
    """A call under way. Interceptors fill it: `principal` once authenticated, `failure` once it failed.

    `method` is the full name, `/penstock.v1.QueryService/ExecuteQuery`. `open` calls need no token.
    """

    method: str
    open: bool
    transport: Transport
    metadata: Metadata
    context: RequestContext
    principal: Principal | None = None
    failure: BaseException | None = None
    messages_sent: int = 0
    bytes_sent: int = 0

    async def send(self, message: bytes) -> None:
        """Send one message of a stream; returns once gRPC has room for the next."""
        await self.transport.write(message)
        self.messages_sent += 1
        self.bytes_sent += len(message)


Proceed = Callable[[], Awaitable[bytes | None]]
"""The rest of a call: what answers with a message, or with None where it streams."""


class Interceptor(Protocol):
    """One purpose, around every call."""

    async def around(self, call: Call, proceed: Proceed) -> bytes | None:
        """Let the call proceed, or raise instead."""
        ...


@functools.lru_cache(maxsize=4_096)
def peer_address(peer: str) -> str:
    """Give the literal IP address of a gRPC peer, or "" for a local socket."""
    kind, _, rest = unquote(peer).partition(":")
    if kind == "ipv4":
        return rest.rpartition(":")[0]
    if kind == "ipv6":
        return rest.rpartition(":")[0].strip("[]")
    return ""


def client_certificate(transport: Transport) -> bytes | None:
    """Give the client's verified certificate in DER, or None where it showed none."""
    found = next(iter(transport.auth_context().get("x509_pem_cert", ())), None)
    return None if found is None else ssl.PEM_cert_to_DER_cert(found.decode())


def principal_of(call: Call) -> Principal:
    """Give who calls.

    Raises:
        RuntimeError: nobody was authenticated; a fault of ours, never let through.
    """
    if call.principal is None:
        raise RuntimeError("a call that needs a principal was let through without one")
    return call.principal


def caller_of(call: Call) -> Caller:
    """Give who calls, as the broker wants it."""
    return Caller(principal=principal_of(call), context=call.context)
