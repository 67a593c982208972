"""Sessions for items of DynamoDB, by the whole door: what is asked of STS, and what is refused before it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from penstock_server.credentials.grounds_of_leases import read_grounds
from penstock_server.credentials.roles import read_roles
from penstock_server.errors import AccessDenied, ConfigurationError, InvalidRequest, LimitExceeded, PenstockError
from penstock_server.model.decision import Access
from penstock_server.policy.bound import BoundPolicy
from support.credentials import ACCOUNT, Doors, aws_request, bound_policy, doors, principal, role
from support.item_scopes import ORDERS
from support.tokens import SteppedClock, request_context

BY_USER = f"{ORDERS}/index/by-user"
FILES = "arn:aws:s3:::acme-lake/finance/*"
POLICY = f"""
grants:
  - name: own-orders
    principals: [everyone]
    resource: "{ORDERS}"
    permissions: [READ]
    items: {{leading_keys: ["${{penstock:Username}}"], attributes: [order_id, customer, total]}}
  - name: clerks
    principals: ["group:clerks"]
    resource: "{ORDERS}"
    permissions: [READ, WRITE]
    items: {{leading_keys: ["TEAM"]}}
    max_ttl: 30m
  - {{name: unserved, principals: [everyone], resource: "{ORDERS}2", permissions: [READ]}}
  - {{name: files, principals: [everyone], resource: "{FILES}", permissions: [READ]}}
  - name: many
    principals: ["group:many"]
    resource: "{BY_USER}"
    permissions: [READ]
    items: {{leading_keys: [{", ".join(f"key-{number:04}" for number in range(200))}]}}
"""
ALICE = principal("alice", "analysts")
CLERK = principal("bob", "clerks")
CONTEXT = request_context()


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(instant=datetime.now(UTC))


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> BoundPolicy:
    return bound_policy(tmp_path_factory.mktemp("policy"), POLICY)


@pytest.fixture
def bench(tmp_path: Path, policy: BoundPolicy, aws_url: str, clock: SteppedClock) -> Iterator[Doors]:
    serves = ("arn:aws:s3:::acme-lake/*", ORDERS)
    with doors(tmp_path, policy, endpoint_url=aws_url, clock=clock, roles=[role(serves=serves)]) as opened:
        yield opened


async def refused(bench: Doors, *resources: str, who: Any = ALICE, **changes: Any) -> PenstockError:
    with pytest.raises(PenstockError) as failed:
        await bench.aws.issue(who, aws_request(*resources, **changes), CONTEXT)
    assert bench.recorder.calls == []
    return failed.value


async def test_sts_is_asked_for_the_callers_own_items_and_nothing_else(bench: Doors) -> None:
    issued = await bench.aws.issue(ALICE, aws_request(ORDERS, access=(Access.READ,)), CONTEXT)
    sent = bench.recorder.only("AssumeRole")
    assert sent["Policy"] == issued.session_policy
    allowed, *denied = json.loads(sent["Policy"])["Statement"]
    assert allowed == {
        "Effect": "Allow",
        "Action": ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"],
        "Resource": ORDERS,
        "Condition": {
            "StringEquals": {"aws:ResourceAccount": ACCOUNT, "dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
            "ForAllValues:StringEquals": {
                "dynamodb:LeadingKeys": "alice",
                "dynamodb:Attributes": ["customer", "order_id", "total"],
            },
            "Null": {"dynamodb:LeadingKeys": "false", "dynamodb:Attributes": "false"},
        },
    }
    assert {statement["Effect"] for statement in denied} == {"Deny"}
    assert issued.grants == ("own-orders",)
    assert issued.scope == f"READ {ORDERS} of 1 leading keys customer,order_id,total"


async def test_a_write_lives_as_long_as_its_grant_and_files_may_stand_beside_it(bench: Doors) -> None:
    await bench.aws.issue(CLERK, aws_request(ORDERS, access=(Access.WRITE,)), CONTEXT)
    assert bench.recorder.only("AssumeRole")["DurationSeconds"] == 1_800


async def test_one_session_may_hold_files_and_items(bench: Doors) -> None:
    issued = await bench.aws.issue(CLERK, aws_request(FILES, ORDERS, access=(Access.READ,)), CONTEXT)
    assert issued.grants == ("clerks", "files")
    text = bench.recorder.only("AssumeRole")["Policy"]
    assert "s3:GetObject" in text
    assert "dynamodb:GetItem" in text


@pytest.mark.parametrize(
    ("resource", "access", "error"),
    [
        (BY_USER, Access.READ, AccessDenied),
        (f"{ORDERS}2", Access.READ, AccessDenied),
        (f"{ORDERS}3", Access.READ, AccessDenied),
        (ORDERS, Access.WRITE, AccessDenied),
        (ORDERS.replace("eu-west-1", "eu-west-2"), Access.READ, AccessDenied),
        (ORDERS.replace(ACCOUNT, "999999999999"), Access.READ, AccessDenied),
        (ORDERS, Access.LIST, InvalidRequest),
        (BY_USER, Access.WRITE, InvalidRequest),
        (f"{ORDERS}/stream/2026", Access.READ, InvalidRequest),
        (f"{ORDERS}*", Access.READ, InvalidRequest),
        (f"{ORDERS}/index/*", Access.READ, InvalidRequest),
        ("arn:aws:sqs:eu-west-1:111122223333:clicks", Access.READ, InvalidRequest),
    ],
)
async def test_what_is_not_granted_is_refused_before_aws_is_asked(
    bench: Doors, resource: str, access: Access, error: type[PenstockError]
) -> None:
    assert isinstance(await refused(bench, resource, access=(access,)), error)


async def test_what_does_not_fit_is_refused_with_what_to_leave_out(bench: Doors) -> None:
    error = await refused(bench, BY_USER, ORDERS, who=principal("carol", "many"), access=(Access.READ,))
    assert isinstance(error, LimitExceeded)
    assert BY_USER in error.hint


@pytest.mark.parametrize(
    ("serves", "what"),
    [
        (BY_USER, "is an index"),
        (ORDERS.replace(ACCOUNT, "999999999999"), "another account"),
        (f"{ORDERS}*", "wildcard"),
    ],
)
def test_a_role_serves_whole_tables_of_its_own_account(serves: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        read_roles([role(serves=(serves,), external_id=None)], None)  # type: ignore[arg-type] # nothing is resolved


def test_two_roles_for_one_table_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="common location"):
        read_roles(
            [role("one", serves=(ORDERS,), external_id=None), role("two", serves=(ORDERS,), external_id=None)],
            None,  # type: ignore[arg-type] # nothing is resolved
        )


async def test_a_lease_of_items_is_held_to_the_keys_of_a_later_policy(
    bench: Doors, tmp_path: Path, policy: BoundPolicy
) -> None:
    await bench.aws.issue(ALICE, aws_request(ORDERS, access=(Access.READ,)), CONTEXT)
    (lease,) = await bench.state.leases.live(after="", limit=10)
    grounds = read_grounds(lease.grounds)
    assert bench.aws.recheck(policy, lease, grounds) == ""
    for old, new, why in (
        ("${penstock:Username}", "${penstock:Subject}", "it would reach less"),
        ("customer, total", "customer", "it would reach less"),
        (
            "name: own-orders\n    principals: [everyone]",
            'name: own-orders\n    principals: ["group:x"]',
            "NOT_PERMITTED",
        ),
    ):
        assert old in POLICY
        later = bound_policy(tmp_path / why / new[:4], POLICY.replace(old, new, 1))
        assert bench.aws.recheck(later, lease, grounds) == why
