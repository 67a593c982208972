"""The methods that are served, as raw bytes behind the interceptors."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from penstock_server.errors import InvalidRequest
from penstock_server.model.posture import NOTHING_KNOWN, Posture
from penstock_server.model.request import RequestContext
from penstock_server.service.calls import (
    REQUEST_ID_TRAILER,
    Call,
    Interceptor,
    Proceed,
    Transport,
    client_certificate,
    peer_address,
)

Request = TypeVar("Request", bound=Message)

MAX_REQUEST_BYTES = 1024 * 1024
"""What we accept; the transport takes more, so that a larger request gets a typed answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnaryMethod(Generic[Request]):
    """A method with one answer. `answer` gets the parsed request."""

    name: str
    request: type[Request]
    answer: Callable[[Request, Call], Awaitable[Message]]
    open: bool = False
    max_request_bytes: int = MAX_REQUEST_BYTES

    async def respond(self, raw: bytes, call: Call) -> bytes:
        """Parse, answer, serialize."""
        response = await self.answer(parse(self.request, raw, max_bytes=self.max_request_bytes), call)
        return response.SerializeToString()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamMethod(Generic[Request]):
    """A method that sends its messages itself, as bytes, by `Call.send`."""

    name: str
    request: type[Request]
    answer: Callable[[Request, Call], Awaitable[None]]
    open: bool = False

    async def respond(self, raw: bytes, call: Call) -> None:
        """Parse and stream."""
        await self.answer(parse(self.request, raw), call)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationMethod:
    """A method that reads and sends messages itself (reflection). Always open."""

    name: str
    answer: Callable[[Call], Awaitable[None]]


Method = UnaryMethod[Any] | StreamMethod[Any] | ConversationMethod


def parse(kind: type[Request], raw: bytes, *, max_bytes: int = MAX_REQUEST_BYTES) -> Request:
    """Parse a request. Raises InvalidRequest: too large, or no message of this kind."""
    if len(raw) > max_bytes:
        raise InvalidRequest("request", f"at most {max_bytes // (1024 * 1024)} MiB")
    try:
        return kind.FromString(raw)
    except DecodeError:
        raise InvalidRequest("request", f"a serialized `{kind.DESCRIPTOR.full_name}`") from None


async def _unknown(_: object, transport: Transport) -> None:
    transport.set_trailing_metadata(((REQUEST_ID_TRAILER, str(uuid.uuid4())),))
    transport.set_code(grpc.StatusCode.UNIMPLEMENTED)
    transport.set_details("there is no such method")


_UNKNOWN: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(_unknown)


class MethodTable(grpc.GenericRpcHandler):
    """Finds the handler of each method; built once, with the interceptors around it, outermost first.

    grpc: registered handlers cost one more pending future for every method and call, so all go through here (1.85).
    """

    def __init__(
        self,
        methods: Sequence[Method],
        interceptors: Sequence[Interceptor],
        *,
        mutual_tls: bool,
        posture: Callable[[], Posture] = lambda: NOTHING_KNOWN,
    ) -> None:
        self._interceptors = tuple(interceptors)
        self._posture = posture
        self._mutual_tls = mutual_tls
        self._handlers = {method.name: self._handler(method) for method in methods}
        if len(self._handlers) != len(methods):
            raise ValueError("a method is served twice")

    @property
    def names(self) -> frozenset[str]:
        """The full names of all methods that are served."""
        return frozenset(self._handlers)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Give the handler of a call, one that answers UNIMPLEMENTED for a method that is not served."""
        handler: grpc.RpcMethodHandler[Any, Any] = self._handlers.get(str(handler_call_details.method), _UNKNOWN)
        return handler

    def _handler(self, method: Method) -> grpc.RpcMethodHandler[Any, Any]:
        match method:
            case UnaryMethod():

                async def unary(raw: bytes, transport: Transport) -> bytes:
                    call = self._call(method.name, transport, is_open=method.open)
                    return await self._run(call, functools.partial(method.respond, raw, call)) or b""

                return grpc.unary_unary_rpc_method_handler(unary)
            case StreamMethod():

                async def stream(raw: bytes, transport: Transport) -> None:
                    call = self._call(method.name, transport, is_open=method.open)
                    await self._run(call, functools.partial(method.respond, raw, call))

                return grpc.unary_stream_rpc_method_handler(stream)
            case ConversationMethod():

                async def conversation(_: object, transport: Transport) -> None:
                    call = self._call(method.name, transport, is_open=True)
                    await self._run(call, functools.partial(method.answer, call))

                return grpc.stream_stream_rpc_method_handler(conversation)

    def _call(self, name: str, transport: Transport, *, is_open: bool) -> Call:
        return Call(
            method=name,
            open=is_open,
            transport=transport,
            metadata=transport.invocation_metadata() or (),
            context=RequestContext(
                request_id=str(uuid.uuid4()),
                peer_address=peer_address(transport.peer()),
                client_certificate=client_certificate(transport) if self._mutual_tls else None,
                posture=self._posture(),
            ),
        )

    async def _run(self, call: Call, proceed: Proceed) -> bytes | None:
        for interceptor in reversed(self._interceptors):
            proceed = functools.partial(interceptor.around, call, proceed)
        return await proceed()
