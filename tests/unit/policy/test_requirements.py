"""`requires`: a grant holds only where the bucket of its data is known to be encrypted, or private."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from penstock_server.broker.recent_decisions import RecentDecisions
from penstock_server.errors import ConfigurationError
from penstock_server.model.decision import Access, AwsDecision, Denied, TableDecision, TableHidden
from penstock_server.model.explanation import ExplanationNode
from penstock_server.model.posture import BucketPosture, Finding, Posture, Requirement
from penstock_server.model.request import RequestFacts
from penstock_server.model.resource import S3Location
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.evaluation import decide
from penstock_server.policy.explanation.for_administrators import explain_for_administrator
from penstock_server.policy.explanation.for_callers import explain
from penstock_server.policy.resources import S3Request, decide_raw, decide_s3
from support.policies import NOW, bind_policy, load_policy, name_of, principal, table

AGE = timedelta(minutes=5)
POLICY = """\
version: 1
grants:
  - {name: both, principals: [everyone], resource: lake.db.*, permissions: [SELECT, RAW], requires: [encrypted, private]}
  - {name: any, principals: [everyone], resource: lake.db.u, permissions: [SELECT], columns: {include: [id]}}
  - name: files
    principals: [everyone]
    resource: "arn:aws:s3:::exports/a/*"
    permissions: [READ]
    requires: [private]
    conditions: {StringEquals: {"penstock:Username": alice}}
"""  # noqa: E501 - one grant a line
T, U, PARTS = name_of("lake.db.t"), name_of("lake.db.u"), ("lake", "db", "t")
ASKED = (S3Request(location=S3Location(bucket="exports", key="a/"), exact=False, access=frozenset({Access.READ})),)


@pytest.fixture
def policy(tmp_path: Path) -> BoundPolicy:
    columns = {"id": "INTEGER", "s": "VARCHAR"}
    return bind_policy(
        tmp_path, POLICY, table("lake.db.t", columns, "lake-t/x"), table("lake.db.u", columns, "lake-u/x")
    )


def posture(encrypted: bool | None, private: bool | None, *buckets: str, age: timedelta = timedelta(0)) -> Posture:
    found = {Requirement.ENCRYPTED: encrypted, Requirement.PRIVATE: private}
    findings = tuple(
        Finding(requirement=each, met=met, why="" if met else "its reasons", remedy="" if met else "mend it")
        for each, met in found.items()
    )
    return Posture(
        buckets=tuple(BucketPosture(bucket=bucket, checked_at=NOW - age, findings=findings) for bucket in buckets),
        max_age=AGE,
    )


GOOD = posture(True, True, "lake-t", "lake-u", "exports")


def facts(known: Posture) -> RequestFacts:
    return replace(RequestFacts.of_instant(NOW), posture=known)


def test_a_grant_holds_where_all_that_it_requires_is_known(policy: BoundPolicy) -> None:
    outcome = decide(policy, principal(), T, facts=facts(GOOD))
    assert isinstance(outcome, TableDecision)
    assert outcome.full


BAD = {
    "nothing is known": posture(True, True),
    "another bucket": posture(True, True, "lake-u", "exports"),
    "not encrypted": posture(False, True, "lake-t"),
    "not private": posture(True, False, "lake-t"),
    "encryption not found out": posture(None, True, "lake-t"),
    "privacy not found out": posture(True, None, "lake-t"),
    "too old": posture(True, True, "lake-t", age=AGE),
    "of the future": posture(True, True, "lake-t", age=timedelta(seconds=-1)),
}


@pytest.mark.parametrize("known", BAD.values(), ids=BAD)
def test_a_grant_does_not_hold_where_anything_is_missing(policy: BoundPolicy, known: Posture) -> None:
    assert isinstance(decide(policy, principal(), T, facts=facts(known)), TableHidden)
    assert isinstance(decide_raw(policy, principal(), T, facts=facts(known)), Denied)


def test_by_default_nothing_is_known(policy: BoundPolicy) -> None:
    assert isinstance(decide(policy, principal(), T, facts=RequestFacts.of_instant(NOW)), TableHidden)


def test_each_table_of_a_wildcard_is_held_against_its_own_bucket(policy: BoundPolicy) -> None:
    known = facts(posture(True, True, "lake-u"))
    assert isinstance(decide(policy, principal(), T, facts=known), TableHidden)
    outcome = decide(policy, principal(), U, facts=known)
    assert isinstance(outcome, TableDecision)
    assert outcome.shaping.grants == ("any", "both")


def test_other_grants_on_the_table_hold_as_ever(policy: BoundPolicy) -> None:
    outcome = decide(policy, principal(), U, facts=facts(posture(True, True)))
    assert isinstance(outcome, TableDecision)
    assert outcome.shaping.grants == ("any",)


def test_a_decision_ends_when_the_finding_is_too_old(policy: BoundPolicy) -> None:
    known = posture(True, True, "lake-t", age=timedelta(minutes=2))
    outcome = decide(policy, principal(), T, facts=facts(known))
    assert isinstance(outcome, TableDecision)
    assert outcome.expires_at == NOW + timedelta(minutes=3)


def test_a_credential_is_held_against_the_finding_when_it_is_issued(policy: BoundPolicy) -> None:
    issued = decide_s3(policy, principal(), ASKED, facts=facts(GOOD))
    assert isinstance(issued, AwsDecision)
    # AWS: no credential lives less than 15 minutes, and no finding is known for as long.
    assert issued.expires_at is None
    for known in (posture(True, False, "exports"), posture(True, True, "lake-t"), BAD["nothing is known"]):
        assert isinstance(decide_s3(policy, principal(), ASKED, facts=facts(known)), Denied)


def test_whose_grant_lacks_nothing_but_what_it_requires_is_told_so(policy: BoundPolicy) -> None:
    bad = facts(posture(True, False, "exports"))
    told = decide_s3(policy, principal(), ASKED, facts=bad)
    assert isinstance(told, Denied)
    assert told.reason == "the data is not known to be as a grant of yours that covers this requires it"
    other = decide_s3(policy, principal("bob"), ASKED, facts=bad)
    assert isinstance(other, Denied)
    assert other.reason == "your grants do not cover all that is asked for"


def test_conditions_hold_beside_what_is_required(policy: BoundPolicy) -> None:
    assert isinstance(decide_s3(policy, principal("bob"), ASKED, facts=facts(GOOD)), Denied)


def test_what_was_decided_before_a_finding_is_not_remembered_after_it(policy: BoundPolicy) -> None:
    recent = RecentDecisions(policy)
    good, bad = facts(GOOD), facts(posture(False, True, "lake-t"))
    assert isinstance(recent.resolve(principal(), PARTS, default_catalog=None, facts=good), TableDecision)
    assert isinstance(recent.resolve(principal(), PARTS, default_catalog=None, facts=bad), TableHidden)


def walk(node: ExplanationNode) -> Iterator[str]:
    yield f"{node.layer}: {node.verdict.value}: {node.sentence}"
    for child in node.children:
        yield from walk(child)


def test_callers_are_told_what_is_missing_without_the_bucket(policy: BoundPolicy) -> None:
    bad = facts(posture(False, True, "lake-u"))
    told = list(walk(explain(policy, principal(), ("lake", "db", "u"), default_catalog=None, facts=bad)))
    assert (
        "posture: narrowed: the data is not known to be encrypted, as a grant of yours requires; "
        "ask the owner of the data to mend that"
    ) in told
    assert "condition: refused: its data is not known to be encrypted; ask the owner of the data to mend that" in told
    assert not any("lake-u" in line for line in told)
    good = list(walk(explain(policy, principal(), PARTS, default_catalog=None, facts=facts(GOOD))))
    assert "posture: allowed: the data is all that your grants require of it" in good


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (posture(True, True), "it was not looked at yet"),
        (posture(False, True, "lake-t"), "its reasons; mend it"),
        (posture(True, True, "lake-t", age=AGE), "what was found at 2026-06-01T11:55:00+00:00 is too old"),
    ],
)
def test_administrators_are_told_the_bucket_and_what_mends_it(policy: BoundPolicy, known: Posture, words: str) -> None:
    tree = explain_for_administrator(policy, principal(), PARTS, default_catalog=None, facts=facts(known))
    assert f"condition: refused: the bucket `lake-t` is not known to be encrypted: {words}" in list(walk(tree))


GRANT = "version: 1\ngrants:\n  - {{name: g, principals: [everyone], resource: {}, permissions: [{}], {}}}\n"


@pytest.mark.parametrize(
    ("resource", "permission", "key", "problem"),
    [
        ("lake.db.t", "SELECT", "requires: [tidy]", "`tidy` in `requires` is nothing that data can be"),
        ("lake.db.t", "SELECT", "requires: [private, private]", "`requires` names `private` twice"),
        ("lake.db.t", "SELECT", "requires: []", "requires"),
        ('"redshift:w"', "CONNECT", "requires: [private]", "it goes with a table or an ARN"),
        (
            "lake.db.t",
            "SELECT",
            'conditions: {StringEquals: {"penstock:posture/private/lake-t": "true"}}',
            "is no condition key",
        ),
        (
            "lake.db.t",
            "SELECT",
            'conditions: {StringEquals: {"penstock:Username": "${penstock:posture/private/lake-t}"}}',
            "is no condition key",
        ),
    ],
)
def test_what_cannot_be_required_is_refused(
    tmp_path: Path, resource: str, permission: str, key: str, problem: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_policy(tmp_path, GRANT.format(resource, permission, key))
    assert problem in str(caught.value)


def test_a_table_without_a_location_cannot_meet_anything(tmp_path: Path) -> None:
    text = GRANT.format("lake.db.t", "SELECT", "requires: [private]")
    with pytest.raises(ConfigurationError) as caught:
        bind_policy(tmp_path, text, table("lake.db.t", {"id": "INTEGER"}))
    assert "`requires` asks where the files of lake.db.t lie, which nobody knows" in str(caught.value)
