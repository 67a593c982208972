"""What a failed AWS call means to a caller: one table of codes, one of exception classes."""

from __future__ import annotations

from enum import Enum, auto

import botocore.exceptions
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from penstock_server.errors import LimitExceeded, PenstockError, Reason, Unavailable

AWS_EXCEPTIONS = (BotoCoreError, ClientError, Boto3Error, ResponseParserError)
"""Every class that a call through boto3 may raise."""

DETAIL_LIMIT_CHARS = 1_000


class Failure(Enum):
    """The kinds of failure that Penstock tells apart."""

    BUSY = auto()
    UNREACHABLE = auto()
    BROKER_CREDENTIALS = auto()
    REFUSED = auto()
    PACKED_POLICY = auto()


CODES: dict[str, Failure] = {
    **dict.fromkeys(
        (
            "BandwidthLimitExceeded",
            "LimitExceededException",
            "PriorRequestNotComplete",
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "SlowDown",
            "ThrottledException",
            "Throttling",
            "ThrottlingException",
            "TooManyRequestsException",
            "TransactionInProgressException",
        ),
        Failure.BUSY,
    ),
    **dict.fromkeys(
        (
            "IDPCommunicationError",
            "InternalError",
            "InternalFailure",
            "InternalServerError",
            "RequestTimeout",
            "RequestTimeoutException",
            "ServiceUnavailable",
        ),
        Failure.UNREACHABLE,
    ),
    **dict.fromkeys(
        (
            "ExpiredToken",
            "ExpiredTokenException",
            "IncompleteSignature",
            "InvalidClientTokenId",
            "MissingAuthenticationToken",
            "RequestExpired",
            "RequestTimeTooSkewed",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
        ),
        Failure.BROKER_CREDENTIALS,
    ),
    # AWS: the model says PackedPolicyTooLargeException, the wire says PackedPolicyTooLarge (botocore 1.44).
    "PackedPolicyTooLarge": Failure.PACKED_POLICY,
    "PackedPolicyTooLargeException": Failure.PACKED_POLICY,
}
"""Codes of `ClientError`; one that is not listed counts by its HTTP status."""

CLASSES: tuple[tuple[type[Exception], Failure], ...] = (
    (botocore.exceptions.NoCredentialsError, Failure.BROKER_CREDENTIALS),
    (botocore.exceptions.PartialCredentialsError, Failure.BROKER_CREDENTIALS),
    (botocore.exceptions.CredentialRetrievalError, Failure.BROKER_CREDENTIALS),
    (botocore.exceptions.TokenRetrievalError, Failure.BROKER_CREDENTIALS),
    (botocore.exceptions.SSOError, Failure.BROKER_CREDENTIALS),
    (botocore.exceptions.LoginError, Failure.BROKER_CREDENTIALS),
    (botocore.exceptions.MetadataRetrievalError, Failure.BROKER_CREDENTIALS),
    (botocore.exceptions.HTTPClientError, Failure.UNREACHABLE),
    (botocore.exceptions.ConnectionError, Failure.UNREACHABLE),
    (botocore.exceptions.IncompleteReadError, Failure.UNREACHABLE),
    (ResponseParserError, Failure.UNREACHABLE),
    # What is left is a mistake of ours or of the configuration: parameters, regions, profiles, models.
    (BotoCoreError, Failure.REFUSED),
    (ClientError, Failure.REFUSED),
    (Boto3Error, Failure.REFUSED),
)
"""The first class that fits decides."""


def translate(error: Exception, *, operation: str) -> PenstockError:
    """Give the error that a caller sees; `operation` (such as `sts:AssumeRole`) is named in the detail.

    AWS's own text goes into `detail` alone.
    """
    return as_error(classify(error), detail=_detail(error, operation))


def classify(error: Exception) -> Failure:
    """Tell the kind of a failure of boto3 or botocore."""
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        known = CODES.get(code)
        if known is not None:
            return known
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if status == 429:
            return Failure.BUSY
        if status >= 500:
            return Failure.UNREACHABLE
    return next((kind for known_class, kind in CLASSES if isinstance(error, known_class)), Failure.REFUSED)


def as_error(failure: Failure, *, detail: str) -> PenstockError:
    """Give the one outward error of a kind."""
    match failure:
        case Failure.BUSY:
            return Unavailable(
                Reason.AWS_UNAVAILABLE,
                "AWS is answering too many requests",
                retry_after_seconds=5.0,
                hint="try again in a few seconds",
                detail=detail,
            )
        case Failure.UNREACHABLE:
            return Unavailable(
                Reason.AWS_UNAVAILABLE,
                "AWS did not answer in time",
                retry_after_seconds=2.0,
                hint="try again in a few seconds",
                detail=detail,
            )
        case Failure.BROKER_CREDENTIALS:
            return Unavailable(
                Reason.AWS_REFUSED,
                "AWS does not accept the credentials of the broker",
                retry_after_seconds=None,
                hint="tell the operator the request id; `penstock-server check` and the audit name the cause",
                detail=detail,
            )
        case Failure.REFUSED:
            return Unavailable(
                Reason.AWS_REFUSED,
                "AWS refused the call of the broker",
                retry_after_seconds=None,
                hint="tell the operator the request id; the audit names the cause",
                detail=detail,
            )
        case Failure.PACKED_POLICY:
            return LimitExceeded(
                Reason.SESSION_POLICY_TOO_LARGE,
                "the scope does not fit the packed size of an AWS session",
                limit="packed session policy size",
                value="100 %",
                hint="ask for fewer resources in one request, or for a shorter common prefix",
                detail=detail,
            )


def _detail(error: Exception, operation: str) -> str:
    if isinstance(error, ClientError):
        parts = error.response.get("Error", {})
        request = error.response.get("ResponseMetadata", {}).get("RequestId", "")
        text = f"{parts.get('Code', '')}: {parts.get('Message', '')} (AWS request {request})"
    elif isinstance(error, botocore.exceptions.ParamValidationError):
        # SECURITY: its text repeats the parameters, the external id among them.
        text = "ParamValidationError"
    else:
        text = f"{type(error).__name__}: {error}"
    return f"{operation}: {text}"[:DETAIL_LIMIT_CHARS]
