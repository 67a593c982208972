"""A gRPC server of the contract whose answers a test writes, for what a right server never sends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pyarrow as pa
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from penstock.v1 import (
    access_service_pb2_grpc,
    catalog_service_pb2_grpc,
    credential_service_pb2_grpc,
    identity_service_pb2_grpc,
    query_service_pb2,
    query_service_pb2_grpc,
)

Part = query_service_pb2.ExecuteQueryResponse


@dataclass(kw_only=True)
class Seen:
    """One call as it arrived."""

    method: str
    request: Any
    metadata: dict[str, str]
    timeout: float | None


@dataclass(kw_only=True)
class Refusal(Exception):
    """Ends a call with a code and the details of a status."""

    code: grpc.StatusCode
    status: bytes = b""
    text: str = "text of the server that nobody should see"


@dataclass(kw_only=True)
class ScriptedServer:
    """Answers each method by `script[method](request)`; a stream is an iterable, a Refusal a status."""

    script: dict[str, Callable[[Any], Any]]
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    begun: threading.Event = field(default_factory=threading.Event)
    """Set when the first call has arrived."""
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when a stream has ended at the server, for whatever reason."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def method(self, name: str) -> Callable[[Any, grpc.ServicerContext], Any]:
        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            self._note(name, request, context)
            try:
                return self.script[name](request)
            except Refusal as refusal:
                self._refuse(refusal, context)

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            self._note(name, request, context)
            context.add_callback(self.ended.set)
            try:
                yield from self.script[name](request)
            except Refusal as refusal:
                self._refuse(refusal, context)

        return stream if name == "ExecuteQuery" else unary

    def _note(self, name: str, request: Any, context: grpc.ServicerContext) -> None:
        metadata = {str(key): str(value) for key, value in context.invocation_metadata()}
        remaining = context.time_remaining()
        self.seen.append(Seen(method=name, request=request, metadata=metadata, timeout=remaining))
        context.set_trailing_metadata((("x-request-id", "req-1"),))
        self.begun.set()

    @staticmethod
    def _refuse(refusal: Refusal, context: grpc.ServicerContext) -> None:
        trailers: list[tuple[str, str | bytes]] = [("x-request-id", "req-1")]
        if refusal.status:
            trailers.append(("grpc-status-details-bin", refusal.status))
        context.set_trailing_metadata(tuple(trailers))
        context.abort(refusal.code, refusal.text)


def _servicer(base: type, server: ScriptedServer) -> Any:
    names = [name for name in vars(base) if not name.startswith("_")]
    members = {name: staticmethod(server.method(name)) for name in names}
    return type("Servicer", (base,), members)()


@contextmanager
def scripted_server(
    script: dict[str, Callable[[Any], Any]], *, credentials: grpc.ServerCredentials | None = None
) -> Iterator[ScriptedServer]:
    """Serve a script on a loopback port of its own, in plain text or with TLS."""
    scripted = ScriptedServer(script=script)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    for module in (
        access_service_pb2_grpc,
        catalog_service_pb2_grpc,
        credential_service_pb2_grpc,
        identity_service_pb2_grpc,
        query_service_pb2_grpc,
    ):
        service = next(name.removesuffix("Stub") for name in vars(module) if name.endswith("Stub"))
        add = getattr(module, f"add_{service}Servicer_to_server")
        add(_servicer(getattr(module, f"{service}Servicer"), scripted), server)
    if credentials is None:
        scripted.port = server.add_insecure_port("127.0.0.1:0")
    else:
        scripted.port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield scripted
    finally:
        server.stop(grace=None).wait(10)


def status_bytes(code: grpc.StatusCode, message: str, *details: Message) -> bytes:
    """Give a serialized `google.rpc.Status`."""
    parts = []
    for detail in details:
        part = AnyMessage()
        part.Pack(detail)
        parts.append(part)
    raw: bytes = status_pb2.Status(code=code.value[0], message=message, details=parts).SerializeToString()
    return raw


def error_info(reason: str, *, domain: str = "penstock", **metadata: str) -> error_details_pb2.ErrorInfo:
    """Give the detail that names a reason."""
    return error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata)


def header(schema: pa.Schema, **fields: Any) -> Part:
    """Give the first part of an answer."""
    message = query_service_pb2.QueryHeader(schema=schema.serialize().to_pybytes(), query_id="req-1", **fields)
    return Part(header=message)


def batch(table: pa.Table | pa.RecordBatch) -> Part:
    """Give a part with one record batch."""
    whole = table if isinstance(table, pa.RecordBatch) else table.combine_chunks().to_batches()[0]
    return Part(record_batch=whole.serialize().to_pybytes())


def trailer(rows: int, batches: int) -> Part:
    """Give the last part of an answer."""
    return Part(trailer=query_service_pb2.QueryTrailer(row_count=rows, batch_count=batches))


def answer(table: pa.Table, *, batches: int = 1, **fields: Any) -> list[Part]:
    """Give all parts of a right answer."""
    rows = -(-table.num_rows // batches)
    pieces = table.combine_chunks().to_batches(max_chunksize=rows) if table.num_rows else []
    return [
        header(table.schema, **fields),
        *(batch(piece) for piece in pieces),
        trailer(table.num_rows, len(pieces)),
    ]


def stalled(parts: Iterable[Part], release: threading.Event) -> Iterator[Part]:
    """Give parts, and then nothing until released."""
    yield from parts
    release.wait(30)
