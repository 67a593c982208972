from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from penstock_server.credentials.validation import validate_aws, validate_redshift
from penstock_server.errors import InvalidRequest, Reason
from penstock_server.model.decision import Access
from support.credentials import aws_request, login_request

UUID = "7f1c9c1e-9d8a-4d0e-8f0a-2b9f0d3c4e5f"
GOOD = aws_request("arn:aws:s3:::acme-lake/x", ttl=timedelta(minutes=15), purpose="month end", request_id=UUID)
GOOD_LOGIN = login_request(ttl=timedelta(hours=1), purpose="Pr\u00fcfung", request_id=UUID)


def broken_field(request: Any) -> str:
    with pytest.raises(InvalidRequest) as refused:
        (validate_aws if hasattr(request, "access") else validate_redshift)(request)
    assert refused.value.reason is Reason.INVALID_FIELD
    (violation,) = refused.value.fields
    assert violation.rule
    return violation.field


def test_a_good_request_passes() -> None:
    validate_aws(GOOD)
    validate_aws(replace(GOOD, ttl=None, request_id=None, purpose="", access=tuple(Access)))
    validate_aws(replace(GOOD, ttl=timedelta(hours=12), resources=("r",) * 20, request_id=UUID.upper()))
    validate_redshift(GOOD_LOGIN)
    validate_redshift(replace(GOOD_LOGIN, ttl=None, request_id=None, name="a"))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"resources": ()}, "resources"),
        ({"resources": ("r",) * 21}, "resources"),
        ({"resources": ("r", "")}, "resources[1]"),
        ({"resources": ("r" * 1201,)}, "resources[0]"),
        ({"access": ()}, "access"),
        ({"access": (Access.READ, "read everything")}, "access[1]"),
        ({"ttl": timedelta(seconds=899)}, "ttl"),
        ({"ttl": timedelta(0)}, "ttl"),
        ({"ttl": timedelta(seconds=-900)}, "ttl"),
        ({"ttl": timedelta(hours=12, microseconds=1)}, "ttl"),
        ({"ttl": timedelta.max}, "ttl"),
        ({"purpose": "p" * 257}, "purpose"),
        ({"purpose": "a\nb"}, "purpose"),
        ({"purpose": "a\x1b[2J"}, "purpose"),
        ({"purpose": "a\u202eb"}, "purpose"),
        ({"purpose": "a\ud800"}, "purpose"),
        ({"request_id": ""}, "request_id"),
        ({"request_id": "7f1c9c1e-9d8a-1d0e-8f0a-2b9f0d3c4e5f"}, "request_id"),
        ({"request_id": "7f1c9c1e-9d8a-4d0e-cf0a-2b9f0d3c4e5f"}, "request_id"),
        ({"request_id": UUID + "\n"}, "request_id"),
        ({"request_id": UUID.replace("-", "")}, "request_id"),
        ({"request_id": UUID.replace("7", "\u0667")}, "request_id"),
        ({"request_id": "{" + UUID + "}"}, "request_id"),
    ],
)
def test_a_field_that_breaks_a_rule_is_named(changes: dict[str, Any], field: str) -> None:
    assert broken_field(replace(GOOD, **changes)) == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "a\n"}, "name"),
        ({"name": "analytics'; drop"}, "name"),
        ({"name": "a" * 129}, "name"),
        ({"name": "\u0430nalytics"}, "name"),
        ({"ttl": timedelta(minutes=14)}, "ttl"),
        ({"ttl": timedelta(hours=1, seconds=1)}, "ttl"),
        ({"purpose": "p" * 257}, "purpose"),
        ({"request_id": "x"}, "request_id"),
    ],
)
def test_a_field_of_a_login_that_breaks_a_rule_is_named(changes: dict[str, Any], field: str) -> None:
    assert broken_field(replace(GOOD_LOGIN, **changes)) == field


def test_limits_are_those_that_the_contract_quotes() -> None:
    contract = (Path(__file__).parents[3] / "proto/penstock/v1/credential_service.proto").read_text()
    for quoted in ("1 to 20 ARNs", "at most 1,200 characters", "15 minutes to 12 hours", "15 minutes to 1 hour"):
        assert quoted in contract.replace("Each at most", "at most"), quoted
    assert contract.count("At most 256 characters") == 2
