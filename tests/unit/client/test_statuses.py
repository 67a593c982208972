from __future__ import annotations

import pickle

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from penstock import errors, statuses
from penstock.v1 import error_reason_pb2
from penstock_server import errors as server_errors
from penstock_server.errors import Reason
from penstock_server.service.status import to_status
from support.scripted_server import error_info, status_bytes

SENT: list[tuple[server_errors.PenstockError, type[errors.PenstockError]]] = [
    (server_errors.Unauthenticated(detail="exp"), errors.Unauthenticated),
    (
        server_errors.AccessDenied(Reason.LOCATION_CLOSED, "the location is closed", hint="use the query door"),
        errors.AccessDenied,
    ),
    (server_errors.NotFound(Reason.RESOURCE_NOT_FOUND, "there is no login `x`"), errors.NotFound),
    (server_errors.NotFound(Reason.TABLE_NOT_FOUND, "there is no table `x`"), errors.NameNotFound),
    (server_errors.InvalidRequest("ttl", "at least 15 minutes"), errors.InvalidRequest),
    (server_errors.QueryError(Reason.SQL_SYNTAX, "cannot be parsed", position=7, hint="h"), errors.QueryError),
    (server_errors.QueryError(Reason.INTERNAL, "the engine failed on this statement"), errors.QueryError),
    (server_errors.QueryError(Reason.COLUMN_NOT_FOUND, "no column `x`", position=3), errors.NameNotFound),
    (
        server_errors.LimitExceeded(Reason.QUERY_TIMEOUT, "too slow", limit="query.timeout", value="60s"),
        errors.LimitExceeded,
    ),
    (server_errors.Unavailable(Reason.WORKER_LOST, "try again", retry_after_seconds=1.5), errors.Unavailable),
    (server_errors.Disagreement("nothing was issued", detail="", evidence=()), errors.PenstockError),
]


def _received(sent: BaseException) -> errors.PenstockError:
    wire = to_status(sent, request_id="r1")
    return statuses.from_status(wire.code, wire.details, request_id="r1")


@pytest.mark.parametrize(("sent", "expected"), SENT, ids=lambda each: getattr(each, "__name__", ""))
def test_every_class_survives_the_way_from_the_server(
    sent: server_errors.PenstockError, expected: type[errors.PenstockError]
) -> None:
    received = _received(sent)

    assert type(received) is expected
    assert (received.message, received.reason, received.hint) == (sent.message, sent.reason.value, sent.hint)
    assert received.metadata == dict(sent.metadata)
    assert received.request_id == "r1"
    assert [(each.field, each.rule) for each in received.fields] == [(each.field, each.rule) for each in sent.fields]


def test_every_class_of_the_server_is_among_those_sent() -> None:
    # Other tests derive classes of their own to see them refused.
    known = {each for each in server_errors.PenstockError.__subclasses__() if each.__module__ == server_errors.__name__}
    assert {type(sent) for sent, _ in SENT} == known


def test_the_parts_of_each_class_come_back() -> None:
    received = {type(sent): _received(sent) for sent, _ in SENT}

    invalid = received[server_errors.InvalidRequest]
    assert isinstance(invalid, errors.InvalidRequest)
    assert (invalid.field, invalid.rule) == ("ttl", "at least 15 minutes")
    limit = received[server_errors.LimitExceeded]
    assert isinstance(limit, errors.LimitExceeded)
    assert (limit.limit, limit.value) == ("query.timeout", "60s")
    unavailable = received[server_errors.Unavailable]
    assert isinstance(unavailable, errors.Unavailable)
    assert unavailable.retry_after == 1.5
    syntax = _received(server_errors.QueryError(Reason.SQL_SYNTAX, "m", position=7))
    assert isinstance(syntax, errors.QueryError)
    assert (syntax.kind, syntax.position) == ("SQL_SYNTAX", 7)


def test_a_hidden_name_in_a_statement_is_both_not_found_and_a_query_error() -> None:
    received = _received(server_errors.QueryError(Reason.COLUMN_NOT_FOUND, "no column `x`", position=3))

    assert isinstance(received, errors.NotFound)
    assert isinstance(received, errors.QueryError)
    assert received.position == 3


def test_an_unforeseen_error_arrives_as_the_base_class() -> None:
    received = _received(RuntimeError("secret"))

    assert type(received) is errors.PenstockError
    assert received.reason == "INTERNAL"
    assert "secret" not in str(received)


def test_the_reasons_of_the_server_are_those_of_the_contract() -> None:
    contract = {name.removeprefix("ERROR_REASON_") for name in error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_name}

    assert {reason.value for reason in Reason} == contract - {"UNSPECIFIED"}


CODES = {
    grpc.StatusCode.UNAUTHENTICATED: errors.Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: errors.AccessDenied,
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.INVALID_ARGUMENT: errors.QueryError,
    grpc.StatusCode.OUT_OF_RANGE: errors.InvalidRequest,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.LimitExceeded,
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.Unavailable,
    grpc.StatusCode.CANCELLED: errors.Unavailable,
    grpc.StatusCode.ABORTED: errors.Unavailable,
}


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK], ids=str)
def test_a_reason_of_a_newer_server_still_maps_by_its_code(code: grpc.StatusCode) -> None:
    raw = status_bytes(code, "of tomorrow", error_info("OF_TOMORROW", hint="h"))

    received = statuses.from_status(code, raw)

    assert type(received) is CODES.get(code, errors.PenstockError)
    assert (received.reason, received.message, received.hint) == ("OF_TOMORROW", "of tomorrow", "h")


FOREIGN = {
    "no details": b"",
    "bytes that are no status": b"\xff\xff\xff",
    "details of another domain": status_bytes(
        grpc.StatusCode.UNAVAILABLE, "text of a proxy", error_info("SQL_SYNTAX", domain="proxy.example")
    ),
    "a status without a reason": status_bytes(grpc.StatusCode.UNAVAILABLE, "text of a proxy"),
    "a detail that cannot be unpacked": status_bytes(grpc.StatusCode.UNAVAILABLE, "text of a proxy")
    + b"\x1a\x33\x0a\x2ctype.googleapis.com/google.rpc.ErrorInfo123\x12\x03\xff\xff\xff",
}


@pytest.mark.parametrize("raw", FOREIGN.values(), ids=FOREIGN)
def test_details_that_are_not_ours_give_a_fixed_text_for_the_code(raw: bytes) -> None:
    received = statuses.from_status(grpc.StatusCode.UNAVAILABLE, raw, transport_text="ipv4:10.0.0.1: refused")

    assert type(received) is errors.Unavailable
    assert received.message == "the server cannot be reached"
    assert received.reason == "UNAVAILABLE"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("... CERTIFICATE_VERIFY_FAILED: self signed", "the server's certificate is not trusted"),
        ("... WRONG_VERSION_NUMBER", "the server does not speak TLS"),
        ("connection refused", "the server cannot be reached"),
    ],
)
def test_a_certificate_and_a_closed_port_are_told_apart(text: str, message: str) -> None:
    assert statuses.from_status(grpc.StatusCode.UNAVAILABLE, b"", transport_text=text).message == message


def test_all_violations_of_a_request_are_listed() -> None:
    violations = [
        error_details_pb2.BadRequest.FieldViolation(field=f"resources[{index}]", description="is an ARN")
        for index in range(2)
    ]
    code = grpc.StatusCode.INVALID_ARGUMENT
    raw = status_bytes(
        code, "m", error_info("INVALID_FIELD"), error_details_pb2.BadRequest(field_violations=violations)
    )

    received = statuses.from_status(code, raw)

    assert [each.field for each in received.fields] == ["resources[0]", "resources[1]"]


def test_a_delay_of_another_domain_is_not_believed() -> None:
    code = grpc.StatusCode.UNAVAILABLE
    retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=900))

    received = statuses.from_status(code, status_bytes(code, "m", retry, error_info("X", domain="proxy.example")))

    assert isinstance(received, errors.Unavailable)
    assert received.retry_after is None


@pytest.mark.parametrize("text", ["", "-1", "many", "٣"])
def test_a_position_that_is_no_number_is_none(text: str) -> None:
    assert errors.QueryError("m", metadata={"position": text}).position is None


def test_hint_and_request_id_stand_in_a_traceback() -> None:
    error = errors.AccessDenied("m", hint="ask the owner", request_id="r1")

    assert error.__notes__ == ["hint: ask the owner", "request id: r1"]


def test_an_error_survives_pickling_with_all_its_parts() -> None:
    error = _received(SENT[4][0])

    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
