"""What is asked of the AWS door, as a message: written once for sessions and for what runs under one."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

from penstock.calls import span
from penstock.errors import invalid
from penstock.v1 import credential_service_pb2

_ACCESS = {
    "read": credential_service_pb2.AWS_ACCESS_READ,
    "list": credential_service_pb2.AWS_ACCESS_LIST,
    "write": credential_service_pb2.AWS_ACCESS_WRITE,
}


def session_request(
    resources: Sequence[str], *, access: str | Sequence[str], ttl: float | timedelta | None, purpose: str
) -> credential_service_pb2.IssueAwsCredentialsRequest:
    """Give the message of a request, with an id of its own. Raises InvalidRequest."""
    return credential_service_pb2.IssueAwsCredentialsRequest(
        resources=texts("resources", resources),
        access=[_access(each) for each in ([access] if isinstance(access, str) else access)],
        ttl=duration("ttl", ttl),
        purpose=purpose,
        request_id=str(uuid.uuid4()),
    )


def texts(field: str, values: Sequence[str]) -> list[str]:
    """Give several texts as a list; one text alone is refused."""
    if isinstance(values, str):
        raise invalid(field, "is a list of names, not one text")
    return list(values)


def _access(name: str) -> credential_service_pb2.AwsAccess.ValueType:
    value = _ACCESS.get(name)
    if value is None:
        raise invalid("access", f"is one of {', '.join(f'`{each}`' for each in _ACCESS)}")
    return value


def duration(field: str, value: float | timedelta | None) -> Duration | None:
    """Give a span, in seconds or as timedelta, as a message."""
    if value is None:
        return None
    message = Duration()
    message.FromTimedelta(span(field, value))
    return message
