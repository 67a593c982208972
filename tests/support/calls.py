"""Plain gRPC calls for tests of the server, with what a client would make of the answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pyarrow as pa
import pytest
from google.rpc import error_details_pb2, status_pb2
from penstock.v1 import (
    access_service_pb2_grpc,
    audit_service_pb2_grpc,
    catalog_service_pb2_grpc,
    credential_service_pb2_grpc,
    identity_service_pb2_grpc,
    policy_service_pb2_grpc,
    query_service_pb2,
    query_service_pb2_grpc,
)

SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer of ExecuteQuery."""

    header: query_service_pb2.QueryHeader
    table: pa.Table
    trailer: query_service_pb2.QueryTrailer
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error as it stood on the wire."""

    code: grpc.StatusCode
    message: str
    reason: str
    domain: str
    metadata: dict[str, str]
    fields: tuple[tuple[str, str], ...]
    retry_seconds: float | None
    request_id: str

    def without_request_id(self) -> tuple[object, ...]:
        """All but what differs from call to call, to compare two refusals."""
        return (self.code, self.message, self.reason, self.domain, self.metadata, self.fields, self.retry_seconds)


class Client:
    """Stubs of one channel and the metadata of one caller."""

    def __init__(self, channel: grpc.Channel, token: str | None) -> None:
        self.metadata = () if token is None else (("authorization", f"Bearer {token}"),)
        self.channel = channel
        self.identity = identity_service_pb2_grpc.IdentityServiceStub(channel)
        self.catalog = catalog_service_pb2_grpc.CatalogServiceStub(channel)
        self.queries = query_service_pb2_grpc.QueryServiceStub(channel)
        self.access = access_service_pb2_grpc.AccessServiceStub(channel)
        self.policy = policy_service_pb2_grpc.PolicyServiceStub(channel)
        self.audit = audit_service_pb2_grpc.AuditServiceStub(channel)
        self.credentials = credential_service_pb2_grpc.CredentialServiceStub(channel)

    def call(self, method: Any, request: Any, *, seconds: float = SECONDS) -> Any:
        """Call a unary method as this caller."""
        return method(request, metadata=self.metadata, timeout=seconds)

    def stream(self, sql: str, *, seconds: float = SECONDS, **fields: Any) -> Any:
        """Begin to run a statement; the call is an iterator of responses."""
        request = query_service_pb2.ExecuteQueryRequest(sql=sql, **fields)
        return self.queries.ExecuteQuery(request, metadata=self.metadata, timeout=seconds)

    def query(self, sql: str, *, seconds: float = SECONDS, **fields: Any) -> Answer:
        """Run a statement to its end."""
        call = self.stream(sql, seconds=seconds, **fields)
        # Under load an extract may take so long that the caller is told of it first.
        parts = [part for part in call if not part.HasField("progress")]
        ipc = parts[0].header.schema + b"".join(part.record_batch for part in parts[1:-1])
        return Answer(
            header=parts[0].header,
            table=pa.ipc.open_stream(ipc).read_all(),
            trailer=parts[-1].trailer,
            request_id=_request_id(call.trailing_metadata()),
        )

    def rows(self, sql: str, **fields: Any) -> list[dict[str, Any]]:
        """The rows of a statement's answer."""
        rows: list[dict[str, Any]] = self.query(sql, **fields).table.to_pylist()
        return rows

    def refused_query(self, sql: str, **fields: Any) -> Refusal:
        """Run a statement that must fail."""
        with refusal() as found:
            self.query(sql, **fields)
        return found[0]

    def refused(self, method: Any, request: Any) -> Refusal:
        """Call a unary method that must fail."""
        with refusal() as found:
            self.call(method, request)
        return found[0]


@contextmanager
def client(address: str, token: str | None, **options: int) -> Iterator[Client]:
    """A caller on a channel of its own."""
    with grpc.insecure_channel(address, options=[("grpc.enable_retries", 0), *options.items()]) as channel:
        yield Client(channel, token)


@contextmanager
def refusal() -> Iterator[list[Refusal]]:
    """Expect an RpcError; the list holds it afterwards."""
    found: list[Refusal] = []
    with pytest.raises(grpc.RpcError) as raised:
        yield found
    found.append(read_refusal(raised.value))


def drain(call: Any) -> tuple[list[query_service_pb2.ExecuteQueryResponse], Refusal | None]:
    """Read a stream to its end: the parts that came, and the error that ended it."""
    parts: list[query_service_pb2.ExecuteQueryResponse] = []
    try:
        for part in call:
            parts.append(part)  # noqa: PERF402 - what came before the error counts
    except grpc.RpcError as error:
        return parts, read_refusal(error)
    return parts, None


def read_refusal(error: Any) -> Refusal:
    """Take an RpcError apart."""
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    infos = 0
    has_retry = False
    for detail in status.details:
        infos += detail.Unpack(info)
        detail.Unpack(bad)
        has_retry |= detail.Unpack(retry)
    if trailers.get("grpc-status-details-bin"):
        assert infos == 1
        assert status.code == error.code().value[0]
        assert status.message == error.details()
    return Refusal(
        code=error.code(),
        message=error.details(),
        reason=info.reason,
        domain=info.domain,
        metadata=dict(info.metadata),
        fields=tuple((violation.field, violation.description) for violation in bad.field_violations),
        retry_seconds=retry.retry_delay.ToTimedelta().total_seconds() if has_retry else None,
        request_id=_request_id(error.trailing_metadata()),
    )


def _request_id(metadata: Any) -> str:
    found = [value for key, value in metadata or () if key == "x-request-id"]
    assert len(found) <= 1
    return found[0] if found else ""
