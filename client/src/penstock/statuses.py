"""From a failed gRPC call to an error of `penstock.errors`. The only module here that knows status codes.

The class follows from the code; a few reasons make it narrower. Text of the gRPC library never becomes a message:
where the server sent no `google.rpc.ErrorInfo` of ours, the message is a fixed one for the code, and the original
stands in `__cause__`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from penstock.errors import (
    AccessDenied,
    FieldViolation,
    InvalidRequest,
    LimitExceeded,
    NameNotFound,
    NotFound,
    PenstockError,
    QueryError,
    Unauthenticated,
    Unavailable,
)

DOMAIN = "penstock"
DETAILS_KEY = "grpc-status-details-bin"
REQUEST_ID_KEY = "x-request-id"

_CLASSES: dict[grpc.StatusCode, type[PenstockError]] = {
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: AccessDenied,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequest,
    grpc.StatusCode.RESOURCE_EXHAUSTED: LimitExceeded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: Unavailable,
    grpc.StatusCode.CANCELLED: Unavailable,
    grpc.StatusCode.ABORTED: Unavailable,
}
"""Codes that are not here give a plain PenstockError."""

_NAMES = frozenset({"TABLE_NOT_FOUND", "COLUMN_NOT_FOUND"})

_FIXED: dict[grpc.StatusCode, tuple[str, str]] = {
    grpc.StatusCode.UNAUTHENTICATED: ("the server asks for an access token", "sign in again with `penstock login`"),
    grpc.StatusCode.PERMISSION_DENIED: ("the server refused the call", ""),
    grpc.StatusCode.UNAVAILABLE: ("the server cannot be reached", "check its address, and that it runs"),
    grpc.StatusCode.DEADLINE_EXCEEDED: ("the server did not answer in time", "try again, or allow a longer timeout"),
    grpc.StatusCode.CANCELLED: ("the call was cancelled", ""),
    grpc.StatusCode.UNIMPLEMENTED: ("the server does not know this call", "compare the versions of client and server"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: ("a message is larger than client or server accept", ""),
}

_TLS_SIGNS: tuple[tuple[str, str, str], ...] = (
    ("CERTIFICATE_VERIFY_FAILED", "the server's certificate is not trusted", "name its authority with `ca`"),
    ("WRONG_VERSION_NUMBER", "the server does not speak TLS", "check the port of its address"),
    ("No match found for server name", "the server's certificate is for another name", "use the name that it is for"),
)
"""Signs in the text of gRPC 1.85 that tell a certificate from a closed port, with what is said instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Details:
    """What the parts of a `google.rpc.Status` say; empty where the server sent none."""

    message: str = ""
    reason: str = ""
    hint: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    fields: tuple[FieldViolation, ...] = ()
    retry_after: float | None = None


def from_call(error: grpc.aio.AioRpcError) -> PenstockError:
    """Give the error of a failed call; to be raised `from` it."""
    trailers = [*(error.initial_metadata() or ()), *(error.trailing_metadata() or ())]
    raw = _last(trailers, DETAILS_KEY)
    request_id = _last(trailers, REQUEST_ID_KEY)
    return from_status(
        error.code(),
        raw if isinstance(raw, bytes) else b"",
        request_id=request_id if isinstance(request_id, str) else "",
        transport_text=error.details() or "",
    )


def from_status(
    code: grpc.StatusCode, status: bytes, *, request_id: str = "", transport_text: str = ""
) -> PenstockError:
    """Give the error of a code and a serialized `google.rpc.Status`, which may be empty or not ours.

    `transport_text` is what the gRPC library said; it only chooses between fixed texts.
    """
    details = _read(status)
    message, hint = details.message, details.hint
    if not details.reason:
        message, hint = _fixed(code, transport_text)
    error = _class(code, details)(
        message,
        reason=details.reason or code.name,
        hint=hint,
        metadata=details.metadata,
        fields=details.fields,
        request_id=request_id,
    )
    if isinstance(error, (LimitExceeded, Unavailable)):
        error.retry_after = details.retry_after
    return error


def _class(code: grpc.StatusCode, details: _Details) -> type[PenstockError]:
    if code is grpc.StatusCode.NOT_FOUND and details.reason in _NAMES:
        return NameNotFound
    if code is grpc.StatusCode.INVALID_ARGUMENT and details.reason and not details.fields:
        # A request that breaks a rule always names the field; what names none is about the statement.
        return QueryError
    return _CLASSES.get(code, PenstockError)


def _fixed(code: grpc.StatusCode, transport_text: str) -> tuple[str, str]:
    if code is grpc.StatusCode.UNAVAILABLE:
        for sign, message, hint in _TLS_SIGNS:
            if sign in transport_text:
                return message, hint
    return _FIXED.get(code, (f"the call failed with the status {code.name}", ""))


def _read(raw: bytes) -> _Details:
    """Read what is ours; details that cannot be read count as none, and the code still decides."""
    try:
        status = status_pb2.Status.FromString(raw)
        return _gather(status.message, status.details)
    except DecodeError:
        return _Details()


def _gather(message: str, parts: Iterable[Any]) -> _Details:
    info = error_details_pb2.ErrorInfo()
    request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    retry_after: float | None = None
    for part in parts:
        if part.Is(info.DESCRIPTOR):
            part.Unpack(info)
        elif part.Is(request.DESCRIPTOR):
            part.Unpack(request)
        elif part.Is(retry.DESCRIPTOR):
            part.Unpack(retry)
            retry_after = retry.retry_delay.ToNanoseconds() / 1e9
    if info.domain != DOMAIN:
        return _Details()
    metadata = dict(info.metadata)
    return _Details(
        message=message,
        reason=info.reason,
        hint=metadata.pop("hint", ""),
        metadata=metadata,
        fields=tuple(FieldViolation(field=each.field, rule=each.description) for each in request.field_violations),
        retry_after=retry_after,
    )


def _last(pairs: Iterable[tuple[str, str | bytes]], key: str) -> str | bytes | None:
    found: str | bytes | None = None
    for name, value in pairs:
        if name == key:
            found = value
    return found
