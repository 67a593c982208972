"""The Redshift door over a real policy, real state and a stand-in for AWS that keeps what it was asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from penstock_server.config.settings import DatabaseUserStyle, SharedUserSettings, WarehouseKind
from penstock_server.errors import (
    AccessDenied,
    ConfigurationError,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PenstockError,
    Reason,
    Unavailable,
)
from penstock_server.model.audit import Event, Outcome
from penstock_server.model.lease import LeaseStatus
from penstock_server.policy.bound import BoundPolicy
from support.credentials import (
    OTHER_ISSUER,
    Doors,
    bound_policy,
    cluster,
    doors,
    login_request,
    principal,
)
from support.tokens import SteppedClock, request_context

UUID = "7f1c9c1e-9d8a-4d0e-8f0a-2b9f0d3c4e5f"
LOGINS = ("analytics", "hashed", "gone", "hidden")
POLICY = """
grants:
  - {name: readers, principals: ["group:analysts"], resource: "redshift:analytics",
      permissions: [CONNECT], database_groups: [bi_readers], max_ttl: 30m}
  - {name: writers, principals: ["group:loaders"], resource: "redshift:analytics",
      permissions: [CONNECT], database_groups: [loaders, bi_readers], max_ttl: 1h}
  - {name: hashed, principals: [everyone, "everyone@https://other.test"], resource: "redshift:hashed",
      permissions: [CONNECT], database_groups: [guests]}
  - {name: gone, principals: [everyone], resource: "redshift:gone", permissions: [CONNECT], database_groups: [guests]}
  - {name: foreign, principals: ["everyone@https://other.test"], resource: "redshift:analytics",
      permissions: [CONNECT], database_groups: [guests]}
  - {name: hidden, principals: ["group:nobody"], resource: "redshift:hidden",
      permissions: [CONNECT], database_groups: [guests]}
"""
ALICE = principal("alice", "analysts")
CONTEXT = request_context()


@pytest.fixture
def clock() -> SteppedClock:
    # The stand-in has the machine's clock, so these doors have it too.
    return SteppedClock(instant=datetime.now(UTC))


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> BoundPolicy:
    return bound_policy(tmp_path_factory.mktemp("policy"), POLICY, logins=LOGINS)


@pytest.fixture
def bench(tmp_path: Path, policy: BoundPolicy, aws_url: str, clock: SteppedClock) -> Iterator[Doors]:
    clusters = (
        cluster(),
        cluster("hashed", identity=DatabaseUserStyle.HASH),
        cluster("gone", cluster_identifier="gone"),
        cluster("hidden"),
    )
    with doors(tmp_path, policy, endpoint_url=aws_url, clock=clock, clusters=clusters) as opened:
        yield opened


async def refused(bench: Doors, who: Any = ALICE, **changes: Any) -> PenstockError:
    """Ask for what must be refused, and check that AWS was not asked, and that the audit says why."""
    before = len(bench.recorder.calls)
    bench.audit.records.clear()
    with pytest.raises(PenstockError) as failed:
        await bench.redshift.issue(who, login_request(**changes), CONTEXT)
    assert len(bench.recorder.calls) == before
    (record,) = bench.audit.records
    assert record.event is Event.CREDENTIALS_REFUSED
    assert record.outcome is Outcome.REFUSED
    assert record.reason.startswith(failed.value.reason.value)
    return failed.value


async def test_a_login_is_asked_for_with_exactly_these_parameters(bench: Doors) -> None:
    await bench.redshift.issue(ALICE, login_request(), CONTEXT)
    assert bench.recorder.calls == [
        (
            "GetClusterCredentials",
            {
                "ClusterIdentifier": "analytics",
                "DbUser": "pk_alice",
                "DbName": "prod",
                "DbGroups": ["bi_readers"],
                "DurationSeconds": 1800,
                "AutoCreate": False,
            },
        )
    ]


async def test_a_user_is_made_by_redshift_only_where_the_configuration_says_so(
    tmp_path: Path, policy: BoundPolicy, aws_url: str, clock: SteppedClock
) -> None:
    with doors(tmp_path, policy, endpoint_url=aws_url, clock=clock, clusters=(cluster(auto_create=True),)) as bench:
        issued = await bench.redshift.issue(ALICE, login_request(), CONTEXT)
    assert bench.recorder.only("GetClusterCredentials")["AutoCreate"] is True
    assert issued.user == "IAMA:pk_alice"


@pytest.mark.parametrize("roles", [(), ("bi_readers", "loaders"), ("loaders",)])
async def test_a_shared_user_is_given_only_to_whom_its_very_roles_are_granted(
    tmp_path: Path, policy: BoundPolicy, aws_url: str, clock: SteppedClock, roles: tuple[str, ...]
) -> None:
    shared = SharedUserSettings(role="arn:aws:iam::111122223333:role/bi", external_id=None, database_roles=roles)
    serverless = replace(
        cluster(), kind=WarehouseKind.SERVERLESS, cluster_identifier="", workgroup="wg-1", shared=shared
    )
    with doors(tmp_path, policy, endpoint_url=aws_url, clock=clock, clusters=(serverless,)) as bench:
        error = await refused(bench)
    assert isinstance(error, AccessDenied)
    assert "one set of database roles" in error.message


async def test_the_answer_has_the_user_as_redshift_returned_it(bench: Doors, policy: BoundPolicy) -> None:
    issued = await bench.redshift.issue(ALICE, login_request(), CONTEXT)
    assert issued.user == "IAM:pk_alice"
    assert (issued.host, issued.port, issued.database) == ("analytics.example.test", 5439, "prod")
    assert issued.database_groups == ("bi_readers",)
    assert issued.grants == ("readers",)
    assert issued.revocable == "no"
    assert issued.policy_version == policy.version
    assert issued.password.reveal()
    assert issued.password.reveal() not in repr(issued)


async def test_the_audit_has_attempt_and_outcome_and_no_password(bench: Doors) -> None:
    issued = await bench.redshift.issue(ALICE, login_request(purpose="month end"), CONTEXT)
    assert bench.audit.events() == (Event.CREDENTIALS_REQUESTED, Event.CREDENTIALS_ISSUED)
    assert bench.audit.detail(Event.CREDENTIALS_REQUESTED, "database_user") == "pk_alice"
    assert bench.audit.detail(Event.CREDENTIALS_ISSUED, "returned_user") == "IAM:pk_alice"
    assert bench.audit.detail(Event.CREDENTIALS_ISSUED, "lease") == issued.lease_id
    for record in bench.audit.records:
        assert record.resources == ("redshift:analytics",)
        assert issued.password.reveal() not in str(record)


async def test_the_lease_is_listed_as_issued(bench: Doors) -> None:
    issued = await bench.redshift.issue(ALICE, login_request(), CONTEXT)
    (lease,) = await bench.state.leases.of(ALICE, after="", limit=9)
    assert (lease.id, lease.status, lease.scope) == (issued.lease_id, LeaseStatus.ISSUED, "redshift:analytics")


async def test_groups_of_all_grants_are_joined(bench: Doors) -> None:
    both = principal("alice", "analysts", "loaders")
    await bench.redshift.issue(both, login_request(), CONTEXT)
    assert bench.recorder.only("GetClusterCredentials")["DbGroups"] == ["bi_readers", "loaders"]


async def test_a_login_that_is_unknown_and_one_that_is_not_granted_are_one_answer(bench: Doors) -> None:
    unknown = await refused(bench, name="nowhere")
    hidden = await refused(bench, name="hidden")
    assert isinstance(unknown, NotFound)
    assert isinstance(hidden, NotFound)
    assert unknown.message.replace("nowhere", "hidden") == hidden.message
    assert (unknown.hint, unknown.reason) == (hidden.hint, hidden.reason)


@pytest.mark.parametrize("name", ["awsuser", "Awsuser", "rdsdb", "admin", "postgres", "padb", "Alice", "al ice", None])
async def test_nobody_gets_the_user_of_an_administrator_or_of_another(bench: Doors, name: str | None) -> None:
    error = await refused(bench, principal(name, "analysts"))
    assert isinstance(error, AccessDenied)


async def test_a_name_of_another_issuer_is_not_that_user(bench: Doors) -> None:
    error = await refused(bench, principal("alice", issuer=OTHER_ISSUER))
    assert isinstance(error, AccessDenied)


async def test_a_recycled_name_does_not_inherit(bench: Doors) -> None:
    await bench.redshift.issue(principal("alice", "analysts", subject="first"), login_request(), CONTEXT)
    error = await refused(bench, principal("alice", "analysts", subject="second"))
    assert isinstance(error, AccessDenied)
    assert "identity: hash" in error.hint
    await bench.redshift.issue(principal("alice", "analysts", subject="first"), login_request(), CONTEXT)


async def test_two_logins_of_one_cluster_share_its_users(
    tmp_path: Path, policy: BoundPolicy, aws_url: str, clock: SteppedClock
) -> None:
    clusters = (cluster(), cluster("gone"))
    with doors(tmp_path, policy, endpoint_url=aws_url, clock=clock, clusters=clusters) as bench:
        await bench.redshift.issue(principal("alice", "analysts", subject="first"), login_request(), CONTEXT)
        assert isinstance(await refused(bench, principal("alice", subject="second"), name="gone"), AccessDenied)


async def test_by_hash_everybody_has_a_user_of_their_own(bench: Doors) -> None:
    callers = (principal("alice"), principal("alice", issuer=OTHER_ISSUER), principal("awsuser"), principal(None))
    for who in callers:
        await bench.redshift.issue(who, login_request("hashed"), CONTEXT)
    users = {parameters["DbUser"] for _, parameters in bench.recorder.calls}
    assert len(users) == 4
    assert all(user.startswith("pk_") and "alice" not in user and "awsuser" not in user for user in users)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "a b"}, "name"),
        ({"name": ""}, "name"),
        ({"ttl": timedelta(hours=2)}, "ttl"),
        ({"ttl": timedelta(minutes=14)}, "ttl"),
        ({"purpose": "p" * 257}, "purpose"),
        ({"request_id": "x"}, "request_id"),
    ],
)
async def test_a_field_that_breaks_a_rule_is_named(bench: Doors, changes: dict[str, Any], field: str) -> None:
    error = await refused(bench, **changes)
    assert isinstance(error, InvalidRequest)
    assert [violation.field for violation in error.fields] == [field]


async def test_a_login_never_outlives_the_token(bench: Doors) -> None:
    await bench.redshift.issue(
        principal("alice", "analysts", token_ends=bench.clock.now() + timedelta(minutes=16)), login_request(), CONTEXT
    )
    assert bench.recorder.only("GetClusterCredentials")["DurationSeconds"] == 960
    error = await refused(bench, principal("alice", "analysts", token_ends=bench.clock.now() + timedelta(minutes=14)))
    assert isinstance(error, LimitExceeded)


async def test_a_request_id_gives_one_login(bench: Doors) -> None:
    await bench.redshift.issue(ALICE, login_request(request_id=UUID), CONTEXT)
    assert isinstance(await refused(bench, request_id=UUID), InvalidRequest)


async def test_a_request_id_is_not_shared_by_the_two_doors(bench: Doors) -> None:
    await bench.redshift.issue(ALICE, login_request(request_id=UUID), CONTEXT)
    error = await refused(bench, name="hashed", request_id=UUID)
    assert "another request" in error.message


async def test_a_cluster_that_aws_does_not_know_is_the_operators_matter(bench: Doors) -> None:
    with pytest.raises(Unavailable) as failed:
        await bench.redshift.issue(ALICE, login_request("gone"), CONTEXT)
    assert failed.value.reason is Reason.AWS_REFUSED
    assert "gone" not in failed.value.message
    assert bench.audit.events() == (Event.CREDENTIALS_REQUESTED, Event.CREDENTIALS_FAILED)
    assert "ClusterNotFound" in bench.audit.records[-1].reason
    assert await bench.state.leases.of(ALICE, after="", limit=9) == ()


@pytest.mark.parametrize("group", ["user", "Readers", "a:b", "a" * 65])
async def test_a_group_that_redshift_does_not_accept_is_the_operators_matter(
    tmp_path: Path, policy: BoundPolicy, aws_url: str, clock: SteppedClock, group: str
) -> None:
    # The policy refuses most of these when it is loaded; the door does not rely on that.
    grants = {
        selector: tuple(replace(grant, database_groups=(group,)) for grant in found)
        for selector, found in policy.redshift_grants.items()
    }
    other = replace(policy, redshift_grants=grants)
    with doors(tmp_path, other, endpoint_url=aws_url, clock=clock, clusters=(cluster(),)) as bench:
        with pytest.raises(Unavailable) as failed:
            await bench.redshift.issue(ALICE, login_request(), CONTEXT)
        assert failed.value.reason is Reason.NOT_CONFIGURED
        assert group not in failed.value.message
        assert bench.recorder.calls == []


async def test_without_its_record_nothing_is_answered(bench: Doors) -> None:
    bench.audit.broken_at = frozenset({Event.CREDENTIALS_ISSUED})
    with pytest.raises(Unavailable) as failed:
        await bench.redshift.issue(ALICE, login_request(), CONTEXT)
    assert failed.value.reason is Reason.AUDIT_UNAVAILABLE


@pytest.mark.parametrize("prefix", ["", "a", "pk-", "PK_", "_"])
def test_a_prefix_that_protects_nobody_does_not_start(
    tmp_path: Path, policy: BoundPolicy, aws_url: str, clock: SteppedClock, prefix: str
) -> None:
    clusters = (cluster(user_prefix=prefix),)
    with (
        pytest.raises(ConfigurationError, match="user_prefix"),
        doors(tmp_path, policy, endpoint_url=aws_url, clock=clock, clusters=clusters),
    ):
        pass
