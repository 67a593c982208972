"""Grants and denials on items of DynamoDB: who may have credentials for which leading keys and attributes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from penstock_server.model.decision import Access, Denied
from penstock_server.model.dynamodb import DynamoDbDecision, DynamoDbPermission, DynamoDbScope, parse_target
from penstock_server.model.request import RequestFacts
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.items.decision import ItemsRequest, decide_items
from penstock_server.policy.proof.budget import DEFAULT_BUDGET
from penstock_server.policy.proof.findings import SubjectKind, Undecided
from penstock_server.policy.proof.plan import compare
from support.policies import ISSUER, NOW, OTHER_ISSUER, bind_policy, principal

READ, WRITE = Access.READ, Access.WRITE
ORDERS = "arn:aws:dynamodb:eu-west-1:111122223333:table/orders"
BY_USER = f"{ORDERS}/index/by-user"

POLICY = f"""\
version: 1
grants:
  - name: own-orders
    principals: [everyone, "everyone@{OTHER_ISSUER}"]
    resource: "{ORDERS}"
    permissions: [READ]
    items: {{leading_keys: ["${{penstock:Username}}"], attributes: [total, order_id, customer]}}
  - name: team-orders
    principals: ["group:staff"]
    resource: "{ORDERS}"
    permissions: [READ, WRITE]
    items: {{leading_keys: ["TEAM#${{penstock:PrincipalTag/team}}", "TEAM#all"]}}
    max_ttl: 30m
  - name: by-subject
    principals: ["everyone@{OTHER_ISSUER}"]
    resource: "{BY_USER}"
    permissions: [READ]
    items: {{leading_keys: ["${{penstock:Subject}}"]}}
  - name: all-of-it
    principals: ["group:admins"]
    resource: "{ORDERS}"
    permissions: [READ]
"""


@pytest.fixture
def policy(tmp_path: Path) -> BoundPolicy:
    return bind_policy(tmp_path, POLICY)


def ask(
    policy: BoundPolicy,
    *access: Access,
    arn: str = ORDERS,
    username: str | None = "alice",
    groups: tuple[str, ...] = (),
    attributes: Mapping[str, tuple[str, ...]] | None = None,
    issuer: str = ISSUER,
) -> DynamoDbDecision | Denied:
    caller = principal(username, groups=groups, attributes=attributes, issuer=issuer)
    requests = [ItemsRequest(target=parse_target(arn), access=frozenset(access))]
    return decide_items(policy, caller, requests, facts=RequestFacts.of_instant(NOW))


def ask_staff(policy: BoundPolicy, access: Access) -> DynamoDbDecision | Denied:
    return ask(policy, access, groups=("staff",), attributes={"team": ("red",)})


def scope(
    permission: DynamoDbPermission, keys: tuple[str, ...] | None, *names: str, arn: str = ORDERS
) -> DynamoDbScope:
    return DynamoDbScope(target=parse_target(arn), permission=permission, leading_keys=keys, attributes=names or None)


def test_a_variable_stands_for_the_caller_and_attributes_are_kept(policy: BoundPolicy) -> None:
    assert ask(policy, READ) == DynamoDbDecision(
        scopes=(scope(DynamoDbPermission.READ, ("alice",), "customer", "order_id", "total"),),
        grants=("own-orders",),
        max_ttl=None,
        expires_at=None,
        policy_version=policy.version,
    )


def test_grants_without_attributes_count_before_those_with_some(policy: BoundPolicy) -> None:
    outcome = ask(policy, READ, WRITE, groups=("staff",), attributes={"team": ("red",)})
    assert isinstance(outcome, DynamoDbDecision)
    assert outcome.scopes == (
        scope(DynamoDbPermission.READ, ("TEAM#all", "TEAM#red")),
        scope(DynamoDbPermission.WRITE, ("TEAM#all", "TEAM#red")),
    )
    assert (outcome.grants, outcome.max_ttl) == (("team-orders",), timedelta(minutes=30))


def test_a_grant_of_all_items_has_no_leading_keys(policy: BoundPolicy) -> None:
    outcome = ask(policy, READ, groups=("admins", "staff"), attributes={"team": ("red",)})
    assert isinstance(outcome, DynamoDbDecision)
    assert outcome.scopes == (scope(DynamoDbPermission.READ, None),)
    assert outcome.grants == ("all-of-it",)


@pytest.mark.parametrize(
    "attributes",
    [
        None,
        {"team": ()},
        {"team": ("",)},
        {"team": ("red", "blue")},
        {"team": ("x" * 2_044,)},
        {"team": ("${aws:username}",)},
        {"team": ("a\nb",)},
        {"Team": ("red",), "team": ("blue",)},
    ],
)
def test_without_one_fitting_value_a_grant_does_not_apply_at_all(
    policy: BoundPolicy, attributes: Mapping[str, tuple[str, ...]] | None
) -> None:
    assert isinstance(ask(policy, WRITE, groups=("staff",), attributes=attributes), Denied)
    kept = ask(policy, READ, groups=("staff",), attributes=attributes)
    assert isinstance(kept, DynamoDbDecision)
    assert kept.grants == ("own-orders",)


def test_a_value_of_2048_bytes_is_a_leading_key_and_wildcards_are_characters(policy: BoundPolicy) -> None:
    for value in ("x" * 2_043, "*", "a?b", "ü", "$", "\\", '"'):
        outcome = ask(policy, WRITE, groups=("staff",), attributes={"team": (value,)})
        assert isinstance(outcome, DynamoDbDecision)
        assert outcome.scopes[0].leading_keys is not None
        assert f"TEAM#{value}" in outcome.scopes[0].leading_keys


def test_names_of_another_issuer_are_no_usernames_and_its_subjects_are_subjects(policy: BoundPolicy) -> None:
    assert isinstance(ask(policy, READ, issuer=OTHER_ISSUER), Denied)
    assert isinstance(ask(policy, READ, username=None), Denied)
    outcome = ask(policy, READ, arn=BY_USER, issuer=OTHER_ISSUER)
    assert isinstance(outcome, DynamoDbDecision)
    digest = principal("alice", issuer=OTHER_ISSUER).subject_digest().hex()
    assert outcome.scopes == (scope(DynamoDbPermission.READ, (digest,), arn=BY_USER),)


@pytest.mark.parametrize(
    "arn",
    [
        BY_USER,
        f"{ORDERS}2",
        ORDERS.replace("eu-west-1", "eu-west-2"),
        ORDERS.replace("111122223333", "111122223334"),
        ORDERS.replace("orders", "Orders"),
        f"{ORDERS}/index/orders",
    ],
)
def test_another_table_index_region_or_account_is_not_covered(policy: BoundPolicy, arn: str) -> None:
    assert isinstance(ask(policy, READ, arn=arn, groups=("admins",)), Denied)


def test_nothing_is_given_by_default_and_write_is_not_read(policy: BoundPolicy) -> None:
    assert isinstance(ask(policy, WRITE), Denied)
    assert isinstance(ask(policy), Denied)


def test_different_attributes_on_one_table_are_not_joined(tmp_path: Path) -> None:
    text = (
        POLICY
        + f"""\
  - name: more
    principals: [everyone]
    resource: "{ORDERS}"
    permissions: [READ]
    items: {{leading_keys: [public], attributes: [notes]}}
"""
    )
    outcome = ask(bind_policy(tmp_path, text), READ)
    assert isinstance(outcome, Denied)
    assert "different attributes" in outcome.reason
    same = text.replace("attributes: [notes]", "attributes: [customer, order_id, total]")
    joined = ask(bind_policy(tmp_path, same), READ)
    assert isinstance(joined, DynamoDbDecision)
    assert joined.scopes[0].leading_keys == ("alice", "public")


def _denying(arn: str, permission: str, spared: str = '"user:bob"') -> str:
    return f'denials: [{{resource: "{arn}", permissions: [{permission}], except_principals: [{spared}]}}]\n'


def test_a_denial_of_a_table_takes_its_indexes_and_reading_takes_writing(tmp_path: Path) -> None:
    denied = bind_policy(tmp_path, POLICY + _denying(ORDERS, "READ", '"user:bob"'))
    assert isinstance(ask(denied, READ), Denied)
    assert isinstance(ask_staff(denied, WRITE), Denied)
    assert isinstance(ask(denied, READ, username="bob"), DynamoDbDecision)
    assert isinstance(ask(denied, READ, arn=BY_USER, issuer=OTHER_ISSUER), Denied)
    writing = bind_policy(tmp_path, POLICY + _denying(ORDERS, "WRITE"))
    assert isinstance(ask_staff(writing, WRITE), Denied)
    assert isinstance(ask_staff(writing, READ), DynamoDbDecision)
    index = bind_policy(tmp_path, POLICY + _denying(BY_USER, "READ"))
    assert isinstance(ask(index, READ), DynamoDbDecision)
    assert isinstance(ask(index, READ, arn=BY_USER, issuer=OTHER_ISSUER), Denied)


def test_a_grant_for_an_address_gives_no_credential(tmp_path: Path) -> None:
    text = f"""\
version: 1
grants:
  - name: g
    principals: [everyone]
    resource: "{ORDERS}"
    permissions: [READ]
    conditions: {{NotIpAddress: {{"penstock:SourceIp": "10.0.0.0/8"}}}}
"""
    outcome = ask(bind_policy(tmp_path, text), READ)
    assert isinstance(outcome, Denied)
    assert "addresses" in outcome.reason


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"TEAM#all"', '"TEAM#none"'),
        ("[total, order_id, customer]", "[total, order_id]"),
        ("permissions: [READ, WRITE]", "permissions: [READ]"),
        ("max_ttl: 30m", "max_ttl: 20m"),
        ('["group:admins"]', '["group:boss"]'),
        ("  - name: all-of-it", "  - name: other"),
    ],
)
def test_a_change_of_items_is_undecided_and_never_the_same(tmp_path: Path, old: str, new: str) -> None:
    assert old in POLICY
    before, after = bind_policy(tmp_path, POLICY), bind_policy(tmp_path, POLICY.replace(old, new))
    subjects = compare(before, after, at=NOW, budget=DEFAULT_BUDGET).subjects
    assert [(one.kind, one.name) for one in subjects] == [(SubjectKind.ITEMS, ORDERS)]
    assert isinstance(subjects[0].verdict, Undecided)


def test_a_new_denial_of_items_is_undecided_and_moved_lines_are_the_same(tmp_path: Path) -> None:
    before = bind_policy(tmp_path, POLICY)
    denied = compare(before, bind_policy(tmp_path, POLICY + _denying(BY_USER, "READ")), at=NOW, budget=DEFAULT_BUDGET)
    assert [type(one.verdict) for one in denied.subjects] == [Undecided]
    moved = bind_policy(tmp_path, "# a comment\n\n" + POLICY)
    assert compare(before, moved, at=NOW, budget=DEFAULT_BUDGET).subjects == ()
