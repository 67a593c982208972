from datetime import timedelta
from pathlib import Path

import pytest
from penstock_server.broker.policies import Policies
from penstock_server.broker.recent_decisions import MAX_AGE, MAX_DECISIONS, RecentDecisions
from penstock_server.model.decision import TableDecision, TableHidden
from penstock_server.model.request import RequestFacts
from penstock_server.policy.bound import BoundPolicy
from support.policies import NOW, bind_policy, principal, table

FLIGHTS = table("lake.nyc.flights", {"origin": "VARCHAR", "month": "INTEGER"})
PLANES = table("lake.nyc.planes", {"tail": "VARCHAR"})
POLICY = f"""\
version: 1
grants:
  - name: analysts
    principals: ["group:analysts"]
    resource: lake.nyc.flights
    permissions: [SELECT]
    rows: "month = 1"
  - name: soon-over
    principals: ["user:bob"]
    resource: lake.nyc.flights
    permissions: [SELECT]
    expires: {(NOW + timedelta(seconds=5)).isoformat()}
"""
NAME = ("nyc", "flights")
ALICE = principal("alice", groups=["analysts"])
BOB = principal("bob")


@pytest.fixture
def policy(tmp_path: Path) -> BoundPolicy:
    return bind_policy(tmp_path, POLICY, FLIGHTS, PLANES)


def test_the_same_question_gets_the_same_decision_without_new_work(policy: BoundPolicy) -> None:
    recent = RecentDecisions(policy)
    first = recent.resolve(ALICE, NAME, default_catalog=None, facts=RequestFacts.of_instant(NOW))
    assert isinstance(first, TableDecision)
    assert (
        recent.resolve(ALICE, NAME, default_catalog=None, facts=RequestFacts.of_instant(NOW + timedelta(seconds=9)))
        is first
    )


def test_whatever_differs_in_the_question_is_decided_anew(policy: BoundPolicy) -> None:
    recent = RecentDecisions(policy)
    first = recent.resolve(ALICE, NAME, default_catalog=None, facts=RequestFacts.of_instant(NOW))
    stranger = principal("alice", groups=[])
    assert isinstance(
        recent.resolve(stranger, NAME, default_catalog=None, facts=RequestFacts.of_instant(NOW)), TableHidden
    )
    assert isinstance(
        recent.resolve(ALICE, NAME, default_catalog="other", facts=RequestFacts.of_instant(NOW)), TableHidden
    )
    assert isinstance(
        recent.resolve(ALICE, ("nyc", "planes"), default_catalog=None, facts=RequestFacts.of_instant(NOW)), TableHidden
    )
    renewed = principal("alice", groups=["analysts", "ops"])
    assert recent.resolve(renewed, NAME, default_catalog=None, facts=RequestFacts.of_instant(NOW)) is not first


def test_a_decision_is_not_remembered_past_its_end(policy: BoundPolicy) -> None:
    recent = RecentDecisions(policy)
    first = recent.resolve(BOB, NAME, default_catalog=None, facts=RequestFacts.of_instant(NOW))
    assert isinstance(first, TableDecision)
    last = recent.resolve(
        BOB, NAME, default_catalog=None, facts=RequestFacts.of_instant(NOW + timedelta(seconds=4.999))
    )
    assert last is first
    assert isinstance(
        recent.resolve(BOB, NAME, default_catalog=None, facts=RequestFacts.of_instant(NOW + timedelta(seconds=5))),
        TableHidden,
    )


def test_no_decision_is_remembered_for_long_nor_before_it_was_made(policy: BoundPolicy) -> None:
    recent = RecentDecisions(policy)
    first = recent.resolve(ALICE, NAME, default_catalog=None, facts=RequestFacts.of_instant(NOW))
    assert (
        recent.resolve(ALICE, NAME, default_catalog=None, facts=RequestFacts.of_instant(NOW - timedelta(seconds=1)))
        is not first
    )
    second = recent.resolve(ALICE, NAME, default_catalog=None, facts=RequestFacts.of_instant(NOW + MAX_AGE))
    assert second is not first
    assert second == first


def test_what_is_hidden_is_not_remembered(policy: BoundPolicy) -> None:
    recent = RecentDecisions(policy)
    recent.resolve(principal("mallory"), NAME, default_catalog=None, facts=RequestFacts.of_instant(NOW))
    assert not recent._remembered


def test_memory_is_bounded(policy: BoundPolicy) -> None:
    recent = RecentDecisions(policy)
    for number in range(MAX_DECISIONS + 10):
        recent.resolve(
            principal(f"user{number}", groups=["analysts"]),
            NAME,
            default_catalog=None,
            facts=RequestFacts.of_instant(NOW),
        )
    assert len(recent._remembered) == MAX_DECISIONS


def test_another_policy_begins_with_no_memory(policy: BoundPolicy, tmp_path: Path) -> None:
    policies = Policies()
    policies.replace(policy, bound_at=NOW)
    assert isinstance(
        policies.current().resolve(ALICE, NAME, default_catalog=None, facts=RequestFacts.of_instant(NOW)), TableDecision
    )
    (tmp_path / "next").mkdir()
    policies.replace(bind_policy(tmp_path / "next", "version: 1\n", FLIGHTS), bound_at=NOW)
    assert isinstance(
        policies.current().resolve(ALICE, NAME, default_catalog=None, facts=RequestFacts.of_instant(NOW)), TableHidden
    )
