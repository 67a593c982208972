"""Every limit of a request, checked before anything else: botocore checks neither maxima nor patterns nor enums."""

from __future__ import annotations

import re
from datetime import timedelta

from penstock_server.credentials.requests import AwsCredentialRequest, RedshiftLoginRequest
from penstock_server.errors import InvalidRequest
from penstock_server.model.decision import Access

MAX_RESOURCES = 20
MAX_RESOURCE_CHARS = 1_200
MAX_PURPOSE_CHARS = 256
MIN_TTL = timedelta(minutes=15)
MAX_SESSION_TTL = timedelta(hours=12)
MAX_LOGIN_TTL = timedelta(hours=1)

# SECURITY: re.ASCII and fullmatch, because `\w` and `\d` are Unicode and `$` lets a closing newline through.
_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_LOGIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", re.ASCII)


def validate_aws(request: AwsCredentialRequest) -> None:
    """Check the shape of a request for an AWS session; the ARNs themselves are read by `arns`.

    Raises:
        InvalidRequest: names the field and the rule.
    """
    if not 1 <= len(request.resources) <= MAX_RESOURCES:
        raise InvalidRequest("resources", f"must hold 1 to {MAX_RESOURCES} ARNs")
    for index, resource in enumerate(request.resources):
        if not 1 <= len(resource) <= MAX_RESOURCE_CHARS:
            raise InvalidRequest(f"resources[{index}]", f"must have 1 to {MAX_RESOURCE_CHARS} characters")
    if not request.access:
        raise InvalidRequest("access", "must hold at least one of `read`, `list`, `write`")
    for index, access in enumerate(request.access):
        if not isinstance(access, Access):
            raise InvalidRequest(f"access[{index}]", "must be one of `read`, `list`, `write`")
    _validate_ttl(request.ttl, MAX_SESSION_TTL)
    _validate_purpose(request.purpose)
    _validate_request_id(request.request_id)


def validate_redshift(request: RedshiftLoginRequest) -> None:
    """Check the shape of a request for a Redshift login.

    Raises:
        InvalidRequest: names the field and the rule.
    """
    if _LOGIN_NAME.fullmatch(request.name) is None:
        raise InvalidRequest("name", "must be a login's name: 1 to 128 letters, digits, `_`, `.`, `-`")
    _validate_ttl(request.ttl, MAX_LOGIN_TTL)
    _validate_purpose(request.purpose)
    _validate_request_id(request.request_id)


def _validate_ttl(ttl: timedelta | None, maximum: timedelta) -> None:
    if ttl is not None and not MIN_TTL <= ttl <= maximum:
        hours = int(maximum.total_seconds()) // 3_600
        raise InvalidRequest("ttl", f"must be from 15 minutes to {hours} h; leave it out for as long as may be")


def _validate_purpose(purpose: str) -> None:
    if len(purpose) > MAX_PURPOSE_CHARS:
        raise InvalidRequest("purpose", f"must have at most {MAX_PURPOSE_CHARS} characters")
    # SECURITY: it is printed by `audit show`: no control characters, line breaks or bidirectional overrides.
    if not purpose.isprintable():
        raise InvalidRequest("purpose", "must hold printable characters only")


def _validate_request_id(request_id: str | None) -> None:
    if request_id is not None and _UUID4.fullmatch(request_id) is None:
        raise InvalidRequest("request_id", "must be a UUID of version 4, or be left out")
