"""Conditions in decisions: whom they let in, until when, and that no credential carries an address away."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from penstock_server.broker.recent_decisions import RecentDecisions
from penstock_server.model.decision import Access, AwsDecision, Denied, RedshiftDecision, TableDecision, TableHidden
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.model.resource import S3Location
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.evaluation import decide, visible_tables
from penstock_server.policy.explanation.for_callers import explain
from penstock_server.policy.resources import S3Request, decide_raw, decide_redshift, decide_s3
from support.policies import NOW, OTHER_ISSUER, bind_policy, name_of, principal, table

HERE = replace(RequestFacts.of_instant(NOW), source_address="10.1.2.3")
T = table("lake.db.t", {"id": "INTEGER"}, "acme/t/")


def bound(folder: Path, conditions: str, *, more: str = "", permissions: str = "SELECT") -> BoundPolicy:
    grant = f"{{name: g, principals: [everyone], resource: lake.db.t, permissions: [{permissions}]{conditions}}}"
    return bind_policy(folder, f"version: 1\ngrants:\n  - {grant}\n{more}", T, logins=["analytics"])


def sees(policy: BoundPolicy, who: Principal | None = None, **facts: object) -> bool:
    asked = replace(HERE, **facts)  # type: ignore[arg-type]  # each test gives fields of their own types
    outcome = decide(policy, who or principal(), name_of("lake.db.t"), facts=asked)
    assert isinstance(outcome, TableDecision | TableHidden)
    return isinstance(outcome, TableDecision)


def under(operator: str, key: str, value: str) -> str:
    return f', conditions: {{"{operator}": {{"penstock:{key}": {value}}}}}'


def test_each_key_is_fed_from_token_and_request(tmp_path: Path) -> None:
    who = replace(principal(attributes={"Dept": ("ops",)}), client_id="app", authentication_methods=("pwd", "mfa"))
    cases: list[tuple[str, str, str, dict[str, object], Principal | None]] = [
        ("IpAddress", "SourceIp", "10.0.0.0/8", {"source_address": "11.0.0.1"}, None),
        ("DateLessThan", "CurrentTime", "2026-06-01T12:00:01Z", {"at": NOW + timedelta(seconds=1)}, None),
        ("StringEquals", "Username", "alice", {}, replace(who, username="bob")),
        ("StringEquals", "Subject", f'"{who.subject_digest().hex()}"', {}, replace(who, subject="x")),
        ("StringEquals", "ClientId", "app", {}, replace(who, client_id=None)),
        ("ForAnyValue:StringEquals", "AuthenticationMethods", "mfa", {}, replace(who, authentication_methods=())),
        ("NumericLessThan", "TokenAge", "61", {"at": NOW + timedelta(seconds=1)}, None),
        ("StringEquals", "principaltag/DEPT", "ops", {}, replace(who, attributes=())),
        ("NumericLessThanEquals", "RequestedTtl", "900", {"requested_ttl": timedelta(seconds=901)}, None),
        ("StringEquals", "Purpose", "audit", {"purpose": "fun"}, None),
    ]
    base: dict[str, object] = {"requested_ttl": timedelta(seconds=900), "purpose": "audit"}
    for operator, key, value, other, somebody in cases:
        policy = bound(tmp_path, under(operator, key, value))
        assert sees(policy, who, **base), key
        assert not sees(policy, somebody or who, **{**base, **other}), key


def test_the_username_of_another_issuer_is_no_username(tmp_path: Path) -> None:
    grant = f'{{name: g, principals: ["everyone@{OTHER_ISSUER}"], resource: lake.db.t, permissions: [SELECT]'
    text = f"version: 1\ngrants:\n  - {grant}{under('StringEquals', 'Username', 'alice')}}}\n"
    assert not sees(bind_policy(tmp_path, text, T), principal("alice", issuer=OTHER_ISSUER))


def test_tags_that_differ_by_case_only_permit_nothing(tmp_path: Path) -> None:
    policy = bound(tmp_path, under("StringEquals", "PrincipalTag/dept", "ops"))
    assert not sees(policy, principal(attributes={"dept": ("ops",), "Dept": ("hr",)}))


def test_a_block_that_is_not_true_leaves_the_table_out_of_every_list(tmp_path: Path) -> None:
    policy = bound(tmp_path, under("IpAddress", "SourceIp", "10.0.0.0/8"))
    assert len(visible_tables(policy, principal(), facts=HERE)) == 1
    assert visible_tables(policy, principal(), facts=replace(HERE, source_address="")) == ()


@pytest.mark.parametrize(
    ("operator", "key", "value"),
    [
        ("DateLessThan", "CurrentTime", "2026-06-01T13:00:00Z"),
        ("DateLessThanEquals", "CurrentTime", "2026-06-01T13:00:00Z"),
        ("DateNotEquals", "CurrentTime", "2026-06-01T13:00:00Z"),
        ("DateGreaterThan", "CurrentTime", "2026-06-01T13:00:00Z"),
        ("DateEquals", "CurrentTime", "2026-06-01T13:00:00Z"),
        ("NumericLessThan", "TokenAge", "3660"),
        ("NumericLessThanEquals", "TokenAge", "3660"),
        ("NumericLessThan", "TokenAge", "3659.5"),
        ("NumericGreaterThan", "TokenAge", "3660"),
        ("NumericNotEquals", "TokenAge", "3660"),
    ],
)
def test_nothing_changes_before_the_end_of_a_decision(operator: str, key: str, value: str, tmp_path: Path) -> None:
    more = "  - {name: h, principals: [everyone], resource: lake.db.t, permissions: [SELECT], rows: id = 1}\n"
    policy = bound(tmp_path, under(operator, key, value), more=more)

    def at(instant: datetime) -> TableDecision:
        outcome = decide(policy, principal(), name_of("lake.db.t"), facts=replace(HERE, at=instant))
        assert isinstance(outcome, TableDecision)
        return outcome

    first = at(NOW)
    end = first.expires_at
    assert end is not None
    assert timedelta(minutes=59) < end - NOW < timedelta(minutes=62)
    assert at(end - timedelta(microseconds=1)).fingerprint == first.fingerprint
    assert at(end).fingerprint != first.fingerprint


def test_what_is_beyond_the_calendar_ends_nothing(tmp_path: Path) -> None:
    policy = bound(tmp_path, under("NumericLessThan", "TokenAge", "9" * 30))
    outcome = decide(policy, principal(), name_of("lake.db.t"), facts=HERE)
    assert isinstance(outcome, TableDecision)
    assert outcome.expires_at is None


def test_equal_relations_have_equal_fingerprints_whatever_the_facts(tmp_path: Path) -> None:
    policy = bound(tmp_path, under("IpAddress", "SourceIp", "10.0.0.0/8"))
    plain = bound(tmp_path, "")
    outcomes = [decide(each, principal(), name_of("lake.db.t"), facts=HERE) for each in (policy, plain)]
    assert len({outcome.fingerprint for outcome in outcomes if isinstance(outcome, TableDecision)}) == 1


def test_a_remembered_decision_is_for_the_same_address_only(tmp_path: Path) -> None:
    recent = RecentDecisions(bound(tmp_path, under("IpAddress", "SourceIp", "10.0.0.0/8")))
    who = principal()
    assert isinstance(recent.resolve(who, ("t",), default_catalog=None, facts=HERE), TableDecision)
    away = replace(HERE, source_address="192.0.2.1")
    assert isinstance(recent.resolve(who, ("t",), default_catalog=None, facts=away), TableHidden)


def test_a_condition_that_is_not_true_is_named_to_the_caller(tmp_path: Path) -> None:
    more = "  - {name: h, principals: [everyone], resource: lake.db.t, permissions: [SELECT], rows: id = 1}\n"
    policy = bound(tmp_path, under("IpAddress", "SourceIp", "10.0.0.0/8"), more=more)
    away = replace(HERE, source_address="192.0.2.1")
    tree = explain(policy, principal(), ("t",), default_catalog=None, facts=away)
    grant = tree.children[1].children[0]
    assert grant.sentence == "`g` names everyone, but not all of its conditions are true"
    assert [child.sentence for child in grant.children] == [
        "`IpAddress` on `penstock:SourceIp` is not true: your request has `192.0.2.1`"
    ]


# --- the credential doors ---------------------------------------------------------------------------------------------
S3 = S3Request(location=S3Location(bucket="acme", key="x/"), exact=False, access=frozenset({Access.READ}))
DOORS = """\
  - {{name: s3, principals: [everyone], resource: "arn:aws:s3:::acme/*", permissions: [READ]{0}}}
  - {{name: login, principals: [everyone], resource: "redshift:analytics", permissions: [CONNECT]{0}}}
"""


def doors(policy: BoundPolicy, facts: RequestFacts) -> list[object]:
    return [
        decide_s3(policy, principal(), (S3,), facts=facts),
        decide_raw(policy, principal(), name_of("lake.db.t"), facts=facts),
        decide_redshift(policy, principal(), "analytics", facts=facts),
    ]


def test_a_credential_ends_where_a_condition_of_its_grant_turns(tmp_path: Path) -> None:
    condition = under("DateLessThan", "CurrentTime", "2026-06-01T13:00:00Z")
    policy = bound(tmp_path, condition, more=DOORS.format(condition), permissions="SELECT, RAW")
    for outcome in doors(policy, HERE):
        assert isinstance(outcome, AwsDecision | RedshiftDecision)
        assert outcome.expires_at == NOW + timedelta(hours=1)
    assert all(isinstance(one, Denied) for one in doors(policy, replace(HERE, at=NOW + timedelta(hours=1))))


@pytest.mark.parametrize(
    ("operator", "value"), [("IpAddress", "10.0.0.0/8"), ("NotIpAddress", "192.0.2.0/24"), ("Null", '"false"')]
)
def test_no_credential_comes_of_a_grant_that_looks_at_the_address(operator: str, value: str, tmp_path: Path) -> None:
    condition = under(operator, "SourceIp", value)
    policy = bound(tmp_path, condition, more=DOORS.format(condition), permissions="SELECT, RAW")
    s3, raw, login = doors(policy, HERE)
    assert isinstance(s3, Denied)
    assert isinstance(raw, Denied)
    assert isinstance(login, Denied)
    expected = "a grant of yours that covers this holds for certain addresses only, and a credential works from any"
    assert (s3.reason, raw.reason) == (expected, expected)
    # Nor does it make a table full for credentials, though it does for queries.
    assert sees(policy)
    assert not sees(policy, carried=True)


def test_a_grant_without_an_address_serves_beside_one_with_it(tmp_path: Path) -> None:
    more = DOORS.format(under("IpAddress", "SourceIp", "10.0.0.0/8")) + (
        '  - {name: plain, principals: [everyone], resource: "arn:aws:s3:::acme/*", permissions: [READ]}\n'
    )
    outcome = decide_s3(bound(tmp_path, "", more=more), principal(), (S3,), facts=HERE)
    assert isinstance(outcome, AwsDecision)
    assert outcome.grants == ("plain",)
