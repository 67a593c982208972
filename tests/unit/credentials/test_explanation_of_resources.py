"""What callers are told of ARNs of DynamoDB and other services: their own grants, and nothing of anybody else's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from penstock_server.credentials.explanation import explain_target, explain_target_for_administrator, read_target
from penstock_server.errors import InvalidRequest
from penstock_server.model.explanation import ExplanationNode, Verdict
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.policy.bound import BoundPolicy
from support.credentials import at, bound_policy, principal, table
from support.service_scopes import CLUSTER, CONSUMER, DATABASE, KEY, STREAM, TABLE, WORKGROUP

FACTS = replace(RequestFacts.of_instant(datetime(2026, 6, 1, 12, tzinfo=UTC)), source_address="192.0.2.1")
ORDERS = "arn:aws:dynamodb:eu-west-1:111122223333:table/orders"
BY_USER = f"{ORDERS}/index/by-user"
ARNS = (ORDERS, BY_USER, STREAM, CONSUMER, KEY, CLUSTER, WORKGROUP, DATABASE, TABLE)
GRANTS = f"""
  - name: own-orders
    principals: [everyone]
    resource: "{ORDERS}"
    permissions: [READ]
    items: {{leading_keys: ["USER#${{penstock:Username}}"], attributes: [id, total]}}
    max_ttl: 30m
    expires: 2027-01-01T00:00:00Z
    conditions: {{StringEquals: {{"penstock:Username": [alice, hannah, pat]}}}}
  - name: team-orders
    principals: ["group:hr", "user:alice"]
    resource: "{ORDERS}"
    permissions: [READ, WRITE]
    items: {{leading_keys: ["TEAM#${{penstock:PrincipalTag/team}}"]}}
  - name: old-index
    principals: [everyone]
    resource: "{BY_USER}"
    permissions: [READ]
    expires: 2026-01-01T00:00:00Z
  - name: office-stream
    principals: [everyone]
    resource: "{CONSUMER}"
    permissions: [READ]
    conditions: {{IpAddress: {{"penstock:SourceIp": "192.0.2.0/24"}}}}
  - name: audit-stream
    principals: [everyone]
    resource: "{STREAM}"
    permissions: [READ]
    conditions: {{StringEquals: {{"penstock:Purpose": "secret-purpose"}}}}
  - {{name: write-stream, principals: ["group:hr"], resource: "{STREAM}", permissions: [READ, WRITE]}}
  - name: own-key
    principals: [everyone]
    resource: "{KEY}"
    permissions: [DECRYPT]
    kms: {{via: [s3], encryption_context: {{tenant: "${{penstock:Username}}"}}}}
  - name: statements
    principals: ["group:hr", "group:partly"]
    resource: "{CLUSTER}"
    permissions: [QUERY]
    statements: {{database: dev, database_user: "pk_${{penstock:Username}}"}}
  - {{name: metadata, principals: [everyone], resource: "{TABLE}", permissions: [DESCRIBE]}}
  - {{name: rows, principals: [everyone], resource: lake.sales.orders, permissions: [SELECT]}}
  - {{name: people, principals: ["group:hr"], resource: lake.hr.people, permissions: [SELECT]}}
"""
OTHERS = f"""
  - {{name: zoe-orders, principals: ["user:zoe"], resource: "{ORDERS}", permissions: [READ, WRITE]}}
  - {{name: zoe-index, principals: ["user:zoe"], resource: "{BY_USER}", permissions: [READ]}}
  - {{name: zoe-athena, principals: ["group:zoes"], resource: "{WORKGROUP}", permissions: [QUERY]}}
  - {{name: zoe-base, principals: ["group:zoes"], resource: "{DATABASE}", permissions: [DESCRIBE]}}
  - name: zoe-key
    principals: ["group:zoes"]
    resource: "{KEY}"
    permissions: [ENCRYPT]
    kms: {{via: [sqs]}}
  - name: zoe-cluster
    principals: ["group:zoes"]
    resource: "{CLUSTER}"
    permissions: [QUERY]
    statements: {{database: other, database_user: "pk_zoe"}}
"""
DENIALS = f"""
  - {{resource: "{STREAM}", permissions: [WRITE], except_principals: ["user:bob"]}}
"""
DENIALS_OF_OTHERS = f"""
  - {{resource: "{WORKGROUP}", permissions: [QUERY], except_principals: ["user:zoe"]}}
  - {{resource: "{BY_USER}", permissions: [READ], except_principals: ["user:zoe"]}}
  - {{resource: "{KEY}", permissions: [ENCRYPT], except_principals: ["user:zoe"]}}
  - {{resource: "{ORDERS}", permissions: [READ], except_principals: [everyone]}}
"""
ALICE, HR, PARTLY, NOBODY = principal("alice"), principal("hannah", "hr"), principal("pat", "partly"), principal(None)


def bound(folder: Path, grants: str = GRANTS, denials: str = DENIALS) -> BoundPolicy:
    folder.mkdir(exist_ok=True)
    tables = table("sales.orders", at("sales/orders/")), table("hr.people", at("hr/people/"))
    return bound_policy(folder, f"grants:{grants}denials:{denials}", *tables)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> BoundPolicy:
    return bound(tmp_path_factory.mktemp("policy"))


def told(policy: BoundPolicy, who: Principal, arn: str) -> ExplanationNode:
    target = read_target("table", arn)
    assert target is not None
    return explain_target(policy, who, target, facts=FACTS)


def lines(node: ExplanationNode) -> Iterator[str]:
    yield f"{node.layer}: {node.verdict.value}: {node.sentence}"
    for child in node.children:
        yield from lines(child)


def text(node: ExplanationNode) -> str:
    return "\n".join(lines(node))


def test_a_grant_on_items_is_told_with_the_callers_keys_its_conditions_and_its_end(policy: BoundPolicy) -> None:
    tree = told(policy, ALICE, ORDERS)
    assert (tree.verdict, tree.sentence) == (Verdict.NARROWED, f"you may have a session for `{ORDERS}`: READ")
    words = text(tree)
    assert (
        "`own-orders` names everyone and gives READ, for at most 30m, until 2027-01-01T00:00:00+00:00\n"
        "limit: narrowed: items with the leading keys `USER#alice` alone\n"
        "limit: narrowed: the attributes `id`, `total` alone\n"
        "condition: allowed: " in words
    )
    assert (
        "grant: not applicable: `team-orders` names your username, but a value of yours for "
        "`TEAM#${penstock:PrincipalTag/team}` is missing" in words
    )
    assert "permission: narrowed: READ: by `own-orders`, for at most 30m, until 2027-01-01T00:00:00+00:00" in words
    assert "permission: refused: WRITE: your grants do not cover all that is asked for" in words
    assert "hr" not in words


@pytest.mark.parametrize(
    ("arn", "expected"),
    [
        (BY_USER, "`old-index` names everyone, but ended at 2026-01-01T00:00:00+00:00; ask for it to be renewed"),
        (CONSUMER, "but holds for certain addresses only, and a session works from any"),
        (STREAM, "`StringEquals` on `penstock:Purpose` is not true: your request has no such value"),
        (KEY, "limit: narrowed: by way of `s3.eu-west-1.amazonaws.com` alone"),
        (KEY, "limit: narrowed: the encryption context `tenant` of `alice` alone"),
    ],
)
def test_what_holds_of_other_services_and_what_does_not_is_told_with_why(
    policy: BoundPolicy, arn: str, expected: str
) -> None:
    words = text(told(policy, ALICE, arn))
    assert expected in words
    assert "secret-purpose" not in words


def test_statements_are_told_with_their_user_and_a_cluster_that_reaches_hidden_rows_is_closed(
    policy: BoundPolicy,
) -> None:
    open_one = told(policy, HR, CLUSTER)
    assert open_one.verdict is Verdict.NARROWED
    assert "limit: narrowed: statements as the database user `pk_hannah` alone" in text(open_one)
    closed = told(policy, PARTLY, CLUSTER)
    assert closed.verdict is Verdict.REFUSED
    assert f"closed locations: refused: `{CLUSTER}` is closed to credentials" in text(closed)
    assert "people" not in text(closed)
    assert told(policy, ALICE, TABLE).verdict is Verdict.ALLOWED


def test_a_denial_is_told_where_it_takes_what_a_grant_gives(policy: BoundPolicy) -> None:
    assert "denials: refused: a denial that does not spare you takes WRITE" in text(told(policy, HR, STREAM))
    assert "denials: not applicable" in text(told(policy, ALICE, STREAM))


def test_policies_that_differ_for_others_alone_change_no_word(tmp_path: Path, policy: BoundPolicy) -> None:
    other = bound(tmp_path / "other", f"{OTHERS}{GRANTS}", f"{DENIALS}{DENIALS_OF_OTHERS}")
    for who in (ALICE, HR, PARTLY, NOBODY):
        for arn in ARNS:
            assert told(policy, who, arn) == told(other, who, arn), (who.username, arn)


def test_an_arn_without_a_grant_of_the_callers_reads_as_one_that_nobody_knows(policy: BoundPolicy) -> None:
    unknown = CLUSTER.replace("analytics", "nowhere")
    assert text(told(policy, ALICE, CLUSTER)) == text(told(policy, ALICE, unknown)).replace(unknown, CLUSTER)
    assert told(policy, ALICE, unknown).verdict is Verdict.REFUSED


def test_administrators_are_told_of_others_of_values_and_of_what_closes_it(policy: BoundPolicy) -> None:
    def kept(who: Principal, arn: str) -> str:
        target = read_target("table", arn)
        assert target is not None
        tree = explain_target_for_administrator(policy, who, target, facts=FACTS)
        assert text(tree.children[0]).splitlines()[1:] == text(told(policy, who, arn)).splitlines()[1:]
        return text(tree.children[1])

    stream = kept(ALICE, STREAM)
    assert "is held against `secret-purpose`" in stream
    assert "`write-stream` names `group:hr`: they are none of these" in stream
    assert "WRITE is denied to all but `user:bob`: they are not spared" in stream
    assert "which is not full for the caller" in kept(ALICE, CLUSTER)
    assert "items with the leading keys `USER#${penstock:Username}` alone" in kept(ALICE, ORDERS)


@pytest.mark.parametrize("arn", ["arn:aws:s3:::acme/*", f"{ORDERS}*", f"{STREAM} ", "arn:", f"arn:{'a' * 1_024}"])
def test_other_and_malformed_arns_are_refused(arn: str) -> None:
    with pytest.raises(InvalidRequest):
        read_target("table", arn)


def test_a_name_of_a_table_is_no_arn() -> None:
    assert read_target("table", "lake.sales.orders") is None
