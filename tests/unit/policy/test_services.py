"""Grants and denials on resources that are named whole: who may have credentials for them, under which limits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from penstock_server.cli.principal_view import view_of
from penstock_server.model.decision import Access, Denied
from penstock_server.model.request import RequestFacts
from penstock_server.model.services import Limit, ServiceDecision, parse_service_target
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.proof.budget import DEFAULT_BUDGET
from penstock_server.policy.proof.findings import SubjectKind, Undecided
from penstock_server.policy.proof.plan import compare
from penstock_server.policy.services.decision import ServiceRequest, decide_services
from support.policies import ISSUER, NOW, OTHER_ISSUER, bind_policy, principal
from support.service_scopes import CLUSTER, CONSUMER, DATABASE, KEY, S3_SERVICE, STREAM, TABLE, WORKGROUP

READ, WRITE = Access.READ, Access.WRITE
FACTS = RequestFacts.of_instant(NOW)
POLICY = f"""\
version: 1
grants:
  - {{name: clicks, principals: [everyone], resource: "{STREAM}", permissions: [READ]}}
  - {{name: app, principals: [everyone], resource: "{CONSUMER}", permissions: [READ]}}
  - name: own-key
    principals: [everyone, "everyone@{OTHER_ISSUER}"]
    resource: "{KEY}"
    permissions: [DECRYPT]
    kms: {{via: [s3], encryption_context: {{tenant: "${{penstock:Username}}"}}}}
  - name: own-key-again
    principals: ["group:staff"]
    resource: "{KEY}"
    permissions: [DECRYPT, ENCRYPT]
    kms: {{via: [s3], encryption_context: {{tenant: "${{penstock:PrincipalTag/team}}"}}}}
  - name: statements
    principals: [everyone]
    resource: "{CLUSTER}"
    permissions: [QUERY]
    statements: {{database: dev, database_user: "pk_${{penstock:Username}}"}}
  - {{name: athena, principals: ["group:staff"], resource: "{WORKGROUP}", permissions: [QUERY]}}
  - {{name: metadata, principals: [everyone], resource: "{TABLE}", permissions: [DESCRIBE]}}
denials:
  - {{resource: "{STREAM}", permissions: [READ], except_principals: ["user:alice"]}}
  - {{resource: "{DATABASE}", permissions: [DESCRIBE], except_principals: ["user:alice"]}}
"""


@pytest.fixture
def policy(tmp_path: Path) -> BoundPolicy:
    return bind_policy(tmp_path, POLICY)


def ask(
    policy: BoundPolicy,
    arn: str,
    *access: Access,
    username: str | None = "alice",
    groups: tuple[str, ...] = (),
    attributes: Mapping[str, tuple[str, ...]] | None = None,
    issuer: str = ISSUER,
) -> ServiceDecision | Denied:
    caller = principal(username, groups=groups, attributes=attributes, issuer=issuer)
    request = ServiceRequest(target=parse_service_target(arn), access=frozenset(access or (READ,)))
    return decide_services(policy, caller, [request], facts=FACTS)


def limits(decision: ServiceDecision | Denied) -> tuple[Limit, ...]:
    assert isinstance(decision, ServiceDecision)
    (scope,) = decision.scopes
    return scope.limits


def test_a_grant_is_on_exactly_its_resource(policy: BoundPolicy) -> None:
    for arn in (STREAM, CONSUMER, TABLE):
        assert isinstance(ask(policy, arn), ServiceDecision)
    for arn in (
        f"{STREAM}2",
        f"{CONSUMER}0",
        DATABASE,
        f"{TABLE}2",
        STREAM.replace("eu-west-1", "eu-west-2"),
        WORKGROUP,
    ):
        assert isinstance(ask(policy, arn), Denied)


def test_a_denial_takes_consumers_of_its_stream_and_tables_of_its_database(policy: BoundPolicy) -> None:
    for arn in (STREAM, CONSUMER, TABLE):
        assert isinstance(ask(policy, arn, username="bob"), Denied)


def test_limits_have_the_callers_own_values(policy: BoundPolicy) -> None:
    via = Limit(name="via", values=(S3_SERVICE,))
    assert limits(ask(policy, KEY)) == (Limit(name="context:tenant", values=("alice",)), via)
    assert limits(ask(policy, CLUSTER)) == (
        Limit(name="database", values=("dev",)),
        Limit(name="database_user", values=("pk_alice",)),
    )


@pytest.mark.parametrize("username", [None, "Alice", "a b", "x" * 62, "alice/dev", "${aws:userid}", "alice\n", "älice"])
def test_who_has_no_usable_name_has_no_database_user(policy: BoundPolicy, username: str | None) -> None:
    assert isinstance(ask(policy, CLUSTER, username=username), Denied)


@pytest.mark.parametrize("username", ["l_" + "a" * 26, "l_x", "d_x"])
def test_nobody_sends_statements_as_the_user_of_a_lease_or_under_the_name_of_a_role(
    policy: BoundPolicy, username: str
) -> None:
    assert isinstance(ask(policy, CLUSTER, username=username), Denied)


def test_the_name_of_another_issuer_is_no_value(policy: BoundPolicy) -> None:
    assert isinstance(ask(policy, KEY, issuer=OTHER_ISSUER), Denied)


def test_different_limits_on_one_resource_are_denied_and_equal_ones_count_as_one(policy: BoundPolicy) -> None:
    apart = ask(policy, KEY, groups=("staff",), attributes={"team": ("red",)})
    assert isinstance(apart, Denied)
    assert "hold apart" in apart.reason
    same = ask(policy, KEY, groups=("staff",), attributes={"team": ("alice",)})
    assert isinstance(same, ServiceDecision)
    assert len(same.grants) == 1
    assert isinstance(ask(policy, KEY, WRITE, groups=("staff",), attributes={"team": ("red",)}), ServiceDecision)
    assert isinstance(ask(policy, KEY, WRITE), Denied)


def test_all_of_a_request_is_granted_or_nothing(policy: BoundPolicy) -> None:
    requests = [
        ServiceRequest(target=parse_service_target(arn), access=frozenset({READ})) for arn in (STREAM, WORKGROUP)
    ]
    assert isinstance(decide_services(policy, principal("alice"), requests, facts=FACTS), Denied)


def test_policy_show_tells_of_them(policy: BoundPolicy) -> None:
    view = view_of(policy, principal("alice"), facts=FACTS, logins=())
    shown = {service.grant: service for service in view.services}
    assert shown.keys() == {"clicks", "app", "own-key", "statements", "metadata"}
    assert ("context:tenant", ("alice",)) in shown["own-key"].limits
    denied = view_of(policy, principal("bob"), facts=FACTS, logins=()).service_denials
    assert {denial.arn for denial in denied} == {STREAM, DATABASE}


@pytest.mark.parametrize(
    ("old", "new", "of"),
    [
        ("permissions: [DECRYPT]", "permissions: [ENCRYPT]", KEY),
        ("database: dev", "database: hr", CLUSTER),
        ('except_principals: ["user:alice"]', "except_principals: [everyone]", STREAM),
    ],
)
def test_a_change_is_undecided_for_its_resource_alone(tmp_path: Path, old: str, new: str, of: str) -> None:
    (tmp_path / "new").mkdir()
    before = bind_policy(tmp_path, POLICY)
    after = bind_policy(tmp_path / "new", POLICY.replace(old, new, 1))
    plan = compare(before, after, at=NOW, budget=DEFAULT_BUDGET)
    changed = {
        subject.name
        for subject in plan.subjects
        if subject.kind is SubjectKind.SERVICE and isinstance(subject.verdict, Undecided)
    }
    assert changed == {of}
