"""Conditions before the AWS door: what is asked reaches the policy, and no credential outruns a condition."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from penstock_server.errors import AccessDenied, Reason
from penstock_server.policy.bound import BoundPolicy
from support.credentials import Doors, at, aws_request, bound_policy, doors, principal, table
from support.tokens import SteppedClock, request_context

B = "arn:aws:s3:::acme-lake"
POLICY = f"""
grants:
  - {{name: purpose, principals: [everyone], resource: "{B}/purpose/*", permissions: [READ],
      conditions: {{StringEquals: {{"penstock:Purpose": month end}}}}}}
  - {{name: short, principals: [everyone], resource: "{B}/short/*", permissions: [READ],
      conditions: {{NumericLessThanEquals: {{"penstock:RequestedTtl": 1200}}}}}}
  - {{name: soon, principals: [everyone], resource: "{B}/soon/*", permissions: [READ],
      conditions: {{DateLessThan: {{"penstock:CurrentTime": "{{soon}}"}}}}}}
  - {{name: office, principals: [everyone], resource: "{B}/office/*", permissions: [READ],
      conditions: {{IpAddress: {{"penstock:SourceIp": 0.0.0.0/0}}}}}}
  - {{name: full-here, principals: [everyone], resource: lake.nyc.flights, permissions: [SELECT],
      conditions: {{NotIpAddress: {{"penstock:SourceIp": 192.0.2.0/24}}}}}}
  - {{name: known, principals: [everyone], resource: lake.nyc.flights, permissions: [DESCRIBE]}}
  - {{name: files, principals: [everyone], resource: lake.nyc.flights, permissions: [RAW]}}
"""
ALICE = principal("alice")


@pytest.fixture(scope="module")
def now() -> datetime:
    """When these tests begin: the stand-in for AWS knows no clock but the machine's."""
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory, now: datetime) -> BoundPolicy:
    text = POLICY.replace("{soon}", (now + timedelta(minutes=20)).isoformat())
    return bound_policy(tmp_path_factory.mktemp("policy"), text, table("nyc.flights", at("curated/nyc/flights")))


@pytest.fixture
def bench(tmp_path: Path, policy: BoundPolicy, aws_url: str, now: datetime) -> Iterator[Doors]:
    with doors(tmp_path, policy, endpoint_url=aws_url, clock=SteppedClock(instant=now)) as opened:
        yield opened


async def test_the_purpose_is_the_one_of_the_request(bench: Doors) -> None:
    await bench.aws.issue(ALICE, aws_request(f"{B}/purpose/*", purpose="month end"), request_context())
    with pytest.raises(AccessDenied):
        await bench.aws.issue(ALICE, aws_request(f"{B}/purpose/*", purpose="fun"), request_context())


async def test_the_ttl_is_the_one_of_the_request(bench: Doors) -> None:
    await bench.aws.issue(ALICE, aws_request(f"{B}/short/*", ttl=timedelta(minutes=20)), request_context())
    for ttl in (timedelta(minutes=21), None):
        with pytest.raises(AccessDenied):
            await bench.aws.issue(ALICE, aws_request(f"{B}/short/*", ttl=ttl), request_context())


async def test_a_session_does_not_outlive_a_condition(bench: Doors) -> None:
    await bench.aws.issue(ALICE, aws_request(f"{B}/soon/*"), request_context())
    assert 15 * 60 <= int(bench.recorder.only("AssumeRole")["DurationSeconds"]) <= 20 * 60


async def test_a_grant_that_looks_at_the_address_is_refused_with_the_reason(bench: Doors) -> None:
    with pytest.raises(AccessDenied) as caught:
        await bench.aws.issue(ALICE, aws_request(f"{B}/office/*"), request_context())
    assert caught.value.reason is Reason.NOT_PERMITTED
    assert "certain addresses only" in caught.value.message
    assert bench.recorder.calls == []


async def test_a_table_that_is_full_at_some_addresses_only_gives_no_files(bench: Doors) -> None:
    with pytest.raises(AccessDenied) as caught:
        await bench.aws.issue(ALICE, aws_request("lake.nyc.flights"), request_context())
    assert caught.value.reason is Reason.LOCATION_CLOSED
    assert bench.recorder.calls == []
