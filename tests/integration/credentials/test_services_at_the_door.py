"""Sessions for streams, keys, clusters, workgroups and metadata, by the whole door: what STS is asked, if anything."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from penstock_server.credentials.grounds_of_leases import read_grounds
from penstock_server.credentials.roles import read_roles
from penstock_server.errors import (
    AccessDenied,
    ConfigurationError,
    InvalidRequest,
    LimitExceeded,
    PenstockError,
    Reason,
)
from penstock_server.model.decision import Access
from penstock_server.policy.bound import BoundPolicy
from support.credentials import ACCOUNT, Doors, at, aws_request, bound_policy, doors, principal, role, table
from support.service_scopes import CLUSTER, CONSUMER, DATABASE, KEY, S3_SERVICE, STREAM, TABLE, WORKGROUP
from support.tokens import SteppedClock, request_context

FILES = "arn:aws:s3:::acme-lake/exports/*"
UNKNOWN_TABLE = f"{TABLE}_raw"
POLICY = f"""
grants:
  - {{name: files, principals: [everyone], resource: "{FILES}", permissions: [READ, WRITE]}}
  - {{name: clicks, principals: [everyone], resource: "{STREAM}", permissions: [READ], max_ttl: 30m}}
  - {{name: write-clicks, principals: ["group:writers"], resource: "{STREAM}", permissions: [WRITE]}}
  - name: own-key
    principals: [everyone]
    resource: "{KEY}"
    permissions: [DECRYPT, ENCRYPT]
    kms: {{via: [s3], encryption_context: {{tenant: "${{penstock:Username}}"}}}}
  - name: office-stream
    principals: [everyone]
    resource: "{STREAM}-office"
    permissions: [READ]
    conditions: {{IpAddress: {{"penstock:SourceIp": "10.0.0.0/8"}}}}
  - name: statements
    principals: [everyone]
    resource: "{CLUSTER}"
    permissions: [QUERY]
    statements: {{database: dev, database_user: "pk_${{penstock:Username}}"}}
  - {{name: athena, principals: [everyone], resource: "{WORKGROUP}", permissions: [QUERY]}}
  - {{name: metadata, principals: [everyone], resource: "{TABLE}", permissions: [DESCRIBE]}}
  - {{name: metadata-unknown, principals: [everyone], resource: "{UNKNOWN_TABLE}", permissions: [DESCRIBE]}}
  - {{name: database, principals: [everyone], resource: "{DATABASE}", permissions: [DESCRIBE]}}
  - {{name: orders, principals: [everyone], resource: lake.sales.orders, permissions: [SELECT]}}
  - {{name: people, principals: ["group:hr"], resource: lake.hr.people, permissions: [SELECT]}}
  - name: some-people
    principals: ["group:partly"]
    resource: lake.hr.people
    permissions: [SELECT]
    rows: "origin = 'JFK'"
  - {{name: hidden, principals: [everyone], resource: "{STREAM}-hidden", permissions: [READ]}}
denials:
  - {{resource: "{STREAM}-hidden", permissions: [READ], except_principals: ["group:hr"]}}
"""
ALICE, HR, PARTLY = principal("alice"), principal("hannah", "hr"), principal("pat", "partly")
CONTEXT = request_context()
SERVES = ("arn:aws:s3:::acme-lake/*", STREAM, KEY, CLUSTER, WORKGROUP, DATABASE, f"{STREAM}-hidden", f"{STREAM}-office")


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> BoundPolicy:
    tables = table("sales.orders", at("sales/orders/")), table("hr.people", at("hr/people/"))
    return bound_policy(tmp_path_factory.mktemp("policy"), POLICY, *tables)


@pytest.fixture
def bench(tmp_path: Path, policy: BoundPolicy, aws_url: str) -> Iterator[Doors]:
    clock = SteppedClock(instant=datetime.now(UTC))
    with doors(tmp_path, policy, endpoint_url=aws_url, clock=clock, roles=[role(serves=SERVES)]) as opened:
        yield opened


def allowed(text: str) -> list[dict[str, Any]]:
    return [statement for statement in json.loads(text)["Statement"] if statement["Effect"] == "Allow"]


async def issued(bench: Doors, *resources: str, who: Any = ALICE, access: Sequence[Access] = (Access.READ,)) -> Any:
    given = await bench.aws.issue(who, aws_request(*resources, access=tuple(access)), CONTEXT)
    assert bench.recorder.only("AssumeRole")["Policy"] == given.session_policy
    return given


async def refused(bench: Doors, *resources: str, who: Any = ALICE, **changes: Any) -> PenstockError:
    changes.setdefault("access", (Access.READ,))
    with pytest.raises(PenstockError) as failed:
        await bench.aws.issue(who, aws_request(*resources, **changes), CONTEXT)
    assert bench.recorder.calls == []
    return failed.value


async def test_a_stream_is_read_and_nothing_else(bench: Doors) -> None:
    given = await issued(bench, STREAM)
    (only,) = allowed(given.session_policy)
    assert only["Resource"] == STREAM
    assert "kinesis:GetRecords" in only["Action"]
    assert bench.recorder.only("AssumeRole")["DurationSeconds"] == 1_800
    assert (given.grants, given.scope) == (("clicks",), f"READ {STREAM}")


async def test_a_key_is_held_to_the_service_and_to_the_callers_own_context_beside_files(bench: Doors) -> None:
    given = await issued(bench, FILES, KEY, access=(Access.READ, Access.WRITE))
    keys = [one for one in allowed(given.session_policy) if one["Resource"] == KEY]
    assert [one["Condition"] for one in keys] == [
        {"StringEquals": {"kms:EncryptionContext:tenant": "alice", "kms:ViaService": S3_SERVICE}}
    ]
    assert keys[0]["Action"] == [
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:GenerateDataKeyWithoutPlaintext",
    ]
    assert given.grants == ("files", "own-key")
    assert "alice" not in given.scope


async def test_statements_are_the_callers_own_where_every_table_is_full(bench: Doors) -> None:
    given = await issued(bench, CLUSTER, who=HR)
    text = given.session_policy
    assert f"dbuser:{CLUSTER.rpartition(':')[2]}/pk_hannah" in text
    assert text.count("${aws:userid}") == 4


@pytest.mark.parametrize("resource", [CLUSTER, WORKGROUP])
@pytest.mark.parametrize("who", [ALICE, PARTLY], ids=["hidden", "rows"])
async def test_an_engine_is_closed_where_one_table_is_not_full(bench: Doors, resource: str, who: Any) -> None:
    error = await refused(bench, resource, who=who)
    assert error.reason is Reason.LOCATION_CLOSED
    assert "people" not in f"{error.message} {error.hint}"


async def test_a_workgroup_is_given_to_who_sees_all_of_every_table(bench: Doors) -> None:
    assert (await issued(bench, WORKGROUP, who=HR)).grants == ("athena",)


@pytest.mark.parametrize("resource", [TABLE, DATABASE])
async def test_metadata_of_full_tables_is_given(bench: Doors, resource: str) -> None:
    assert resource in (await issued(bench, resource)).session_policy


async def test_metadata_of_a_table_that_the_policy_does_not_know_is_closed(bench: Doors) -> None:
    assert (await refused(bench, UNKNOWN_TABLE)).reason is Reason.LOCATION_CLOSED


@pytest.mark.parametrize(
    ("resource", "access", "error"),
    [
        (CONSUMER, Access.READ, AccessDenied),
        (CONSUMER, Access.WRITE, InvalidRequest),
        (STREAM, Access.WRITE, AccessDenied),
        (STREAM, Access.LIST, InvalidRequest),
        (f"{STREAM}2", Access.READ, AccessDenied),
        (f"{STREAM}-hidden", Access.READ, AccessDenied),
        (f"{STREAM}-office", Access.READ, AccessDenied),
        (f"{STREAM}*", Access.READ, InvalidRequest),
        (STREAM.replace("eu-west-1", ""), Access.READ, InvalidRequest),
        (STREAM.replace(ACCOUNT, "999999999999"), Access.READ, AccessDenied),
        (KEY.replace("key/", "alias/"), Access.READ, InvalidRequest),
        (f"{KEY}0", Access.READ, InvalidRequest),
        (WORKGROUP, Access.WRITE, InvalidRequest),
        (TABLE.replace("orders", "Orders"), Access.READ, InvalidRequest),
        (f"{DATABASE}/orders", Access.READ, InvalidRequest),
        ("arn:aws:redshift-serverless:eu-west-1:111122223333:workgroup/x", Access.READ, InvalidRequest),
    ],
)
async def test_what_is_not_granted_is_refused_before_aws_is_asked(
    bench: Doors, resource: str, access: Access, error: type[PenstockError]
) -> None:
    assert isinstance(await refused(bench, resource, access=(access,)), error)


async def test_a_caller_without_a_usable_name_has_no_key_and_no_database_user(bench: Doors) -> None:
    for who in (principal(None, "hr"), principal("${aws:username}", "hr"), principal("Hannah", "hr")):
        assert isinstance(await refused(bench, CLUSTER, who=who), AccessDenied)
    assert isinstance(await refused(bench, KEY, who=principal(None)), AccessDenied)


async def test_what_does_not_fit_is_refused_with_what_to_leave_out(bench: Doors) -> None:
    error = await refused(bench, CLUSTER, WORKGROUP, FILES, who=HR)
    assert isinstance(error, LimitExceeded)
    assert CLUSTER in error.hint


async def test_a_lease_is_held_to_what_a_later_policy_gives(bench: Doors, tmp_path: Path, policy: BoundPolicy) -> None:
    await bench.aws.issue(HR, aws_request(WORKGROUP, access=(Access.READ,)), CONTEXT)
    (lease,) = await bench.state.leases.live(after="", limit=10)
    grounds = read_grounds(lease.grounds)
    assert bench.aws.recheck(policy, lease, grounds) == ""
    tables = table("sales.orders", at("sales/orders/")), table("hr.people", at("hr/people/"))
    narrower = bound_policy(tmp_path / "narrower", POLICY, *tables, table("new.table", at("new/")))
    assert bench.aws.recheck(narrower, lease, grounds) == "LOCATION_CLOSED"


@pytest.mark.parametrize(
    ("serves", "what"),
    [(STREAM.replace(ACCOUNT, "999999999999"), "another account"), (f"{STREAM}*", "wildcard"), (f"{KEY}0", "must be")],
)
def test_a_role_serves_whole_resources_of_its_own_account(serves: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        read_roles([role(serves=(serves,), external_id=None)], None)  # type: ignore[arg-type] # nothing is resolved


@pytest.mark.parametrize(("one", "two"), [(STREAM, STREAM), (STREAM, CONSUMER), (DATABASE, TABLE)])
def test_two_roles_for_one_resource_are_refused(one: str, two: str) -> None:
    with pytest.raises(ConfigurationError, match="common location"):
        read_roles(
            [role("one", serves=(one,), external_id=None), role("two", serves=(two,), external_id=None)],
            None,  # type: ignore[arg-type] # nothing is resolved
        )
