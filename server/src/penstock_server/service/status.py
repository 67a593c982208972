"""The one table from our errors to what stands on the wire."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from penstock_server.errors import (
    AccessDenied,
    Disagreement,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PenstockError,
    QueryError,
    Reason,
    Unauthenticated,
    Unavailable,
)

DOMAIN = "penstock"
DETAILS_KEY = "grpc-status-details-bin"
MAX_DETAILS_BYTES = 4 * 1024
"""Clients accept 8 KiB of trailers by default; the details take 4/3 of their size, the message up to three times."""

_MAX_TEXT_BYTES = 512

_CODES: dict[type[PenstockError], grpc.StatusCode] = {
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    AccessDenied: grpc.StatusCode.PERMISSION_DENIED,
    NotFound: grpc.StatusCode.NOT_FOUND,
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    QueryError: grpc.StatusCode.INVALID_ARGUMENT,
    LimitExceeded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    Disagreement: grpc.StatusCode.INTERNAL,
}

_NAMES_NOT_FOUND = frozenset({Reason.TABLE_NOT_FOUND, Reason.COLUMN_NOT_FOUND})
"""A statement that names what is not there for the caller answers as every other door does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WireStatus:
    """A status as gRPC sends it; `details` is a serialized `google.rpc.Status`."""

    code: grpc.StatusCode
    message: str
    details: bytes


def to_status(error: BaseException, *, request_id: str) -> WireStatus:
    """Give what the caller is told. An error that is not ours, or has no row, tells the request id and no more."""
    code = _CODES.get(type(error)) if isinstance(error, PenstockError) else None
    if code is None or not isinstance(error, PenstockError):
        return _internal(request_id)
    if isinstance(error, QueryError) and error.reason in _NAMES_NOT_FOUND:
        code = grpc.StatusCode.NOT_FOUND
    message = _bounded(error.message)
    parts = [_error_info(error.reason, error.metadata, error.hint)]
    if error.fields:
        parts.append(_bad_request(error))
    if isinstance(error, (LimitExceeded, Unavailable)) and error.retry_after_seconds is not None:
        parts.append(_packed(error_details_pb2.RetryInfo(retry_delay=_duration(error.retry_after_seconds))))
    return _status(code, message, parts)


def _internal(request_id: str) -> WireStatus:
    return _status(
        grpc.StatusCode.INTERNAL,
        f"something went wrong; the request id is `{request_id}`",
        [_error_info(Reason.INTERNAL, (("request_id", request_id),), "tell the operator the request id")],
    )


def _status(code: grpc.StatusCode, message: str, parts: list[Any]) -> WireStatus:
    number: int = code.value[0]
    status = status_pb2.Status(code=number, message=message, details=parts)
    if status.ByteSize() > MAX_DETAILS_BYTES:
        # The first part always fits: the texts in it are bounded.
        status = status_pb2.Status(code=number, message=message, details=parts[:1])
    return WireStatus(code=code, message=message, details=status.SerializeToString())


def _error_info(reason: Reason, metadata: tuple[tuple[str, str], ...], hint: str) -> Any:
    info = error_details_pb2.ErrorInfo(reason=reason.value, domain=DOMAIN)
    for key, value in metadata:
        info.metadata[key] = _bounded(value)
    if hint:
        info.metadata["hint"] = _bounded(hint)
    return _packed(info)


def _bad_request(error: PenstockError) -> Any:
    violations = [
        error_details_pb2.BadRequest.FieldViolation(
            field=_bounded(violation.field),
            description=_bounded(violation.rule),
        )
        for violation in error.fields
    ]
    return _packed(error_details_pb2.BadRequest(field_violations=violations))


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration


def _bounded(text: str) -> str:
    raw = text.encode(errors="replace")
    if len(raw) <= _MAX_TEXT_BYTES:
        return raw.decode()
    return raw[: _MAX_TEXT_BYTES - 3].decode(errors="ignore") + "..."
