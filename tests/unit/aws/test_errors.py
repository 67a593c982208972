from __future__ import annotations

import inspect
from typing import Any

import boto3.exceptions
import botocore.exceptions
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from penstock_server.aws.errors import AWS_EXCEPTIONS, CLASSES, Failure, as_error, classify, translate
from penstock_server.errors import LimitExceeded, Reason, Unavailable

EXCEPTIONS = [
    found
    for module in (botocore.exceptions, boto3.exceptions)
    for _, found in inspect.getmembers(module, inspect.isclass)
    if issubclass(found, Exception) and not issubclass(found, Warning)
]


def client_error(
    code: str, *, status: int = 400, message: str = "arn:aws:iam::111122223333:role/secret-name"
) -> ClientError:
    metadata = {"HTTPStatusCode": status, "RequestId": "q", "HTTPHeaders": {}, "HostId": "", "RetryAttempts": 0}
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}
    return ClientError(
        answer,
        "AssumeRole",
    )


def test_every_class_that_boto_raises_has_a_kind() -> None:
    # Two of botocore's own model errors can only come from a broken installation.
    never_at_run_time = {"MissingServiceIdError", "UndefinedModelAttributeError"}
    unknown = {found.__name__ for found in EXCEPTIONS if not issubclass(found, tuple(kind for kind, _ in CLASSES))}
    assert unknown == never_at_run_time
    assert {found.__name__ for found in EXCEPTIONS if not issubclass(found, AWS_EXCEPTIONS)} == never_at_run_time


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("Throttling", Failure.BUSY),
        ("RequestLimitExceeded", Failure.BUSY),
        ("ServiceUnavailable", Failure.UNREACHABLE),
        ("ExpiredToken", Failure.BROKER_CREDENTIALS),
        ("ExpiredTokenException", Failure.BROKER_CREDENTIALS),
        ("InvalidClientTokenId", Failure.BROKER_CREDENTIALS),
        ("AccessDenied", Failure.REFUSED),
        ("AccessDeniedException", Failure.REFUSED),
        ("RegionDisabledException", Failure.REFUSED),
        ("MalformedPolicyDocument", Failure.REFUSED),
        ("ClusterNotFound", Failure.REFUSED),
        ("UnsupportedOperation", Failure.REFUSED),
        ("SomethingNew", Failure.REFUSED),
        ("PackedPolicyTooLarge", Failure.PACKED_POLICY),
        ("PackedPolicyTooLargeException", Failure.PACKED_POLICY),
    ],
)
def test_a_code_of_aws_has_a_kind(code: str, kind: Failure) -> None:
    assert classify(client_error(code)) is kind


@pytest.mark.parametrize(
    ("status", "kind"), [(429, Failure.BUSY), (500, Failure.UNREACHABLE), (503, Failure.UNREACHABLE)]
)
def test_an_unknown_code_counts_by_its_status(status: int, kind: Failure) -> None:
    assert classify(client_error("SomethingNew", status=status)) is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (botocore.exceptions.NoCredentialsError(), Failure.BROKER_CREDENTIALS),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="http://h"), Failure.UNREACHABLE),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="http://h"), Failure.UNREACHABLE),
        (botocore.exceptions.ConnectTimeoutError(endpoint_url="http://h"), Failure.UNREACHABLE),
        (botocore.exceptions.SSLError(endpoint_url="http://h", error=OSError("x")), Failure.UNREACHABLE),
        (ResponseParserError("<html>"), Failure.UNREACHABLE),
        (botocore.exceptions.ParamValidationError(report="r"), Failure.REFUSED),
        (botocore.exceptions.NoRegionError(), Failure.REFUSED),
    ],
)
def test_a_class_of_botocore_has_a_kind(error: Exception, kind: Failure) -> None:
    assert classify(error) is kind


@pytest.mark.parametrize("kind", list(Failure))
def test_the_text_of_aws_reaches_the_detail_alone(kind: Failure) -> None:
    code = {
        Failure.BUSY: "Throttling",
        Failure.UNREACHABLE: "InternalError",
        Failure.BROKER_CREDENTIALS: "ExpiredToken",
    }
    code |= {Failure.REFUSED: "AccessDenied", Failure.PACKED_POLICY: "PackedPolicyTooLarge"}
    error = translate(client_error(code[kind]), operation="sts:AssumeRole")
    assert "secret-name" in error.detail
    assert "sts:AssumeRole" in error.detail
    for outward in (error.message, error.hint, str(error.metadata), str(error)):
        assert "secret-name" not in outward
        assert code[kind] not in outward


def test_parameters_do_not_come_back_in_the_detail() -> None:
    error = botocore.exceptions.ParamValidationError(report="Invalid length for parameter ExternalId, value: hush")
    assert "hush" not in translate(error, operation="sts:AssumeRole").detail


def test_a_packed_policy_that_is_too_large_is_a_limit_of_ours() -> None:
    error = as_error(Failure.PACKED_POLICY, detail="")
    assert isinstance(error, LimitExceeded)
    assert error.reason is Reason.SESSION_POLICY_TOO_LARGE


@pytest.mark.parametrize(
    ("kind", "reason", "retry"),
    [
        (Failure.BUSY, Reason.AWS_UNAVAILABLE, True),
        (Failure.UNREACHABLE, Reason.AWS_UNAVAILABLE, True),
        (Failure.BROKER_CREDENTIALS, Reason.AWS_REFUSED, False),
        (Failure.REFUSED, Reason.AWS_REFUSED, False),
    ],
)
def test_waiting_is_advised_where_it_helps(kind: Failure, reason: Reason, retry: bool) -> None:
    error = as_error(kind, detail="")
    assert isinstance(error, Unavailable)
    assert error.reason is reason
    assert (error.retry_after_seconds is not None) is retry


def test_the_base_classes_stand_last_so_that_they_hide_no_row() -> None:
    for index, (kind, _) in enumerate(CLASSES):
        hidden = [later for later, _ in CLASSES[index + 1 :] if issubclass(later, kind)]
        assert not hidden, f"{kind.__name__} hides {hidden}"
    assert issubclass(BotoCoreError, Exception)
