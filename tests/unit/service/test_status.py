import inspect

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from penstock.v1 import error_reason_pb2
from penstock_server import errors
from penstock_server.errors import (
    AccessDenied,
    Disagreement,
    FieldViolation,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PenstockError,
    QueryError,
    Reason,
    Unauthenticated,
    Unavailable,
)
from penstock_server.service import status
from penstock_server.service.status import to_status

EXAMPLES: dict[type[PenstockError], tuple[PenstockError, grpc.StatusCode]] = {
    Unauthenticated: (Unauthenticated(detail="expired: secret"), grpc.StatusCode.UNAUTHENTICATED),
    AccessDenied: (
        AccessDenied(Reason.DENIED_BY_POLICY, "no", hint="ask", detail="secret"),
        grpc.StatusCode.PERMISSION_DENIED,
    ),
    NotFound: (
        NotFound(Reason.TABLE_NOT_FOUND, "none `x`", metadata=(("table", "x"),), detail="secret"),
        grpc.StatusCode.NOT_FOUND,
    ),
    InvalidRequest: (InvalidRequest("ttl", "15 min", detail="secret"), grpc.StatusCode.INVALID_ARGUMENT),
    QueryError: (
        QueryError(Reason.SQL_SYNTAX, "bad", position=7, detail="secret"),
        grpc.StatusCode.INVALID_ARGUMENT,
    ),
    LimitExceeded: (
        LimitExceeded(Reason.QUEUE_FULL, "full", limit="queue", value="64", detail="secret"),
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    ),
    Unavailable: (
        Unavailable(Reason.AUDIT_UNAVAILABLE, "later", retry_after_seconds=2.5, detail="secret"),
        grpc.StatusCode.UNAVAILABLE,
    ),
    Disagreement: (
        Disagreement("nothing was issued", detail="secret", evidence=(("witness", "secret"),)),
        grpc.StatusCode.INTERNAL,
    ),
}


def _classes() -> set[type[PenstockError]]:
    found = {value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, PenstockError)}
    return found - {PenstockError}


def _info(details: bytes) -> error_details_pb2.ErrorInfo:
    infos = []
    for part in status_pb2.Status.FromString(details).details:
        info = error_details_pb2.ErrorInfo()
        if part.Unpack(info):
            infos.append(info)
    assert len(infos) == 1
    return infos[0]


def test_every_error_class_has_a_row_and_an_example() -> None:
    assert set(EXAMPLES) == _classes()
    assert set(status._CODES) == _classes()


@pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.__name__)
def test_a_status_carries_code_reason_hint_and_metadata_but_never_the_detail(kind: type[PenstockError]) -> None:
    error, code = EXAMPLES[kind]
    told = to_status(error, request_id="r")
    info = _info(told.details)
    assert told.code is code
    assert told.message == error.message
    assert (info.reason, info.domain) == (error.reason.value, "penstock")
    expected = dict(error.metadata) | ({"hint": error.hint} if error.hint else {})
    assert dict(info.metadata) == expected
    assert b"secret" not in told.details


def test_the_wire_status_repeats_code_and_message() -> None:
    told = to_status(AccessDenied(Reason.NOT_PERMITTED, "no grant"), request_id="r")
    wire = status_pb2.Status.FromString(told.details)
    assert (wire.code, wire.message) == (grpc.StatusCode.PERMISSION_DENIED.value[0], "no grant")


@pytest.mark.parametrize("reason", [Reason.TABLE_NOT_FOUND, Reason.COLUMN_NOT_FOUND])
def test_a_statement_that_names_what_is_not_there_is_not_found_as_at_every_door(reason: Reason) -> None:
    assert to_status(QueryError(reason, "none"), request_id="r").code is grpc.StatusCode.NOT_FOUND


def test_field_violations_become_bad_request() -> None:
    bad = error_details_pb2.BadRequest()
    error = InvalidRequest("resources[0]", "an ARN")
    assert error.fields == (FieldViolation(field="resources[0]", rule="an ARN"),)
    parts = status_pb2.Status.FromString(to_status(error, request_id="r").details).details
    assert any(part.Unpack(bad) for part in parts)
    assert [(violation.field, violation.description) for violation in bad.field_violations] == [
        ("resources[0]", "an ARN")
    ]


def test_unavailable_says_when_to_try_again_only_where_waiting_helps() -> None:
    def retry(error: Unavailable) -> float | None:
        info = error_details_pb2.RetryInfo()
        parts = status_pb2.Status.FromString(to_status(error, request_id="r").details).details
        found = any(part.Unpack(info) for part in parts)
        return info.retry_delay.ToTimedelta().total_seconds() if found else None

    assert retry(Unavailable(Reason.WORKER_LOST, "gone", retry_after_seconds=1.5)) == 1.5
    assert retry(Unavailable(Reason.TABLE_UNREADABLE, "broken", retry_after_seconds=None)) is None


class _Stranger(PenstockError):
    """A class that nobody gave a row."""


@pytest.mark.parametrize(
    "error", [ValueError("password=hunter2"), _Stranger(Reason.INTERNAL, "hunter2"), KeyError("hunter2")]
)
def test_an_unknown_error_tells_the_request_id_and_no_more(error: Exception) -> None:
    told = to_status(error, request_id="the-request")
    assert told.code is grpc.StatusCode.INTERNAL
    assert "the-request" in told.message
    assert "hunter2" not in told.message
    assert b"hunter2" not in told.details
    assert dict(_info(told.details).metadata) == {
        "request_id": "the-request",
        "hint": "tell the operator the request id",
    }


def test_a_huge_text_is_cut_so_that_the_trailers_fit() -> None:
    text = "é" * 100_000
    told = to_status(InvalidRequest(text, text, hint=text), request_id="r")
    assert len(told.message.encode()) <= 512
    assert len(told.details) <= status.MAX_DETAILS_BYTES
    assert _info(told.details).reason == "INVALID_FIELD"


def test_a_lone_surrogate_does_not_break_the_answer() -> None:
    assert to_status(InvalidRequest("\ud800", "text"), request_id="r").message == "`?`: text"


def test_the_reasons_are_those_of_the_contract() -> None:
    names = {name.removeprefix("ERROR_REASON_") for name in error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_name}
    assert names - {"UNSPECIFIED"} == {reason.value for reason in Reason}
