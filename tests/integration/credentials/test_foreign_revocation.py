"""The revocation document as a permissions boundary, before an evaluator that somebody else wrote."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from penstock_server.credentials.revocation_document import Width, revocation_document
from penstock_server.model.lease import Generation, Revocation, RevocationKind
from support.credentials import ACCOUNT
from support.iam import evaluate
from support.iam_simulator import Case, install, simulate

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
# The evaluator's session is of this role; another role is told by its ARN in the context.
ROLE = f"arn:aws:iam::{ACCOUNT}:role/penstock-lake-reader"
OTHER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/penstock-other"
EVERYTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
ACTIONS = (
    ("s3:GetObject", "arn:aws:s3:::acme-lake/x"),
    ("s3:ListBucket", "arn:aws:s3:::acme-lake"),
    ("s3:PutObject", "arn:aws:s3:::acme-lake/y"),
)


@pytest.fixture(scope="module", autouse=True)
def evaluator() -> None:
    install()


def entry(kind: RevocationKind, target: str, *, role: str = "", until: datetime = NOON) -> Revocation:
    return Revocation(
        kind=kind,
        target=target,
        role=role,
        until=until,
        leaves_at=until + timedelta(hours=1),
        generation=Generation(1),
        cause="by a test",
        leases=1,
    )


def context(person: str, lease: str, role: str, at: datetime) -> tuple[tuple[str, str], ...]:
    return (
        ("aws:SourceIdentity", person),
        ("aws:PrincipalTag/penstock:lease", lease),
        ("aws:PrincipalArn", role),
        ("aws:TokenIssueTime", f"{at:%Y-%m-%dT%H:%M:%SZ}"),
    )


PERSONS = tuple(f"pk-{number:026d}" for number in range(3))
LEASES = tuple(f"{number:032x}" for number in range(3))
REVOKED = (
    entry(RevocationKind.PERSON, PERSONS[0]),
    entry(RevocationKind.LEASE, LEASES[1], role=ROLE),
    entry(RevocationKind.ROLE, OTHER_ROLE, until=NOON - timedelta(minutes=5)),
)
BEFORE, AT, AFTER = NOON - timedelta(minutes=20), NOON, NOON + timedelta(seconds=1)
# person, lease, role, when; denied?
SESSIONS = (
    ((PERSONS[0], LEASES[2], ROLE, BEFORE), True),
    ((PERSONS[0], LEASES[2], ROLE, AT), True),
    ((PERSONS[0], LEASES[2], ROLE, AFTER), False),
    ((PERSONS[1], LEASES[1], ROLE, AFTER), True),
    ((PERSONS[1], LEASES[2], ROLE, BEFORE), False),
    ((PERSONS[2], LEASES[2], OTHER_ROLE, BEFORE), True),
    ((PERSONS[2], LEASES[2], OTHER_ROLE, AT), False),
)


def test_a_revoked_session_is_denied_everything_and_another_nothing() -> None:
    text = revocation_document(REVOKED).text
    cases, expected = [], []
    for facts, denied in SESSIONS:
        for action, resource in ACTIONS:
            for bucket_policy in ("none", "everybody", "session"):
                cases.append(
                    Case(
                        policy=0,
                        action=action,
                        resource=resource,
                        account=ACCOUNT,
                        context=context(*facts),
                        bucket_policy=bucket_policy,
                        boundary=1,
                    )
                )
                expected.append("ExplicitlyDenied" if denied else "Allowed")
    assert simulate([EVERYTHING, text], cases) == expected


def test_what_overflows_denies_every_session_that_was_revoked() -> None:
    many = tuple(f"pk-{number:026d}" for number in range(400))
    document = revocation_document([entry(RevocationKind.PERSON, person) for person in many])
    assert document.width is Width.EVERYTHING
    cases = [
        Case(
            policy=0,
            action="s3:GetObject",
            resource="arn:aws:s3:::acme-lake/x",
            account=ACCOUNT,
            context=context(person, LEASES[0], ROLE, at),
            bucket_policy="everybody",
            boundary=1,
        )
        for person in many[::40]
        for at in (AT, AFTER)
    ]
    assert simulate([EVERYTHING, document.text], cases) == ["ExplicitlyDenied", "Allowed"] * len(many[::40])


def test_our_own_evaluator_of_the_tests_says_the_same() -> None:
    text = revocation_document(REVOKED).text
    for facts, denied in SESSIONS:
        own = evaluate(text, action="s3:GetObject", resource="arn:aws:s3:::acme-lake/x", context=dict(context(*facts)))
        assert own == ("ExplicitlyDenied" if denied else "Allowed")
