"""Session policies before an evaluator that somebody else wrote: what is not meant is *explicitly* denied.

Explicitly, because a session policy does not limit what a bucket's own policy grants to everybody under a condition, or
to the session itself; the cases run beside such bucket policies.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from penstock_server.credentials.proof.outcomes import ProvedPolicy
from penstock_server.credentials.proof.permits import Decided
from penstock_server.credentials.proof.proving import prove
from penstock_server.credentials.scopes import s3
from penstock_server.credentials.session_policy import MAX_CHARS, print_policy
from penstock_server.model.decision import S3Scope
from support.granted_files import AT, asked_for, probes_of
from support.iam import evaluate
from support.iam_simulator import Case, install, simulate
from support.s3_scopes import ACCOUNT, Probe, meant, probes, random_scopes

CASES = 2_500
SEED = 20261124


@pytest.fixture(scope="session", autouse=True)
def evaluator() -> None:
    install()


def policy_of(scopes: tuple[S3Scope, ...]) -> str:
    return print_policy(s3.statements(scopes, account=ACCOUNT, ends_at=None))


def generated(seed: int, count: int) -> tuple[list[str], list[Probe], list[Case], list[bool]]:
    source = random.Random(seed)
    policies: list[str] = []
    asked: list[Probe] = []
    cases: list[Case] = []
    expected: list[bool] = []
    while len(cases) < count:
        scopes = random_scopes(source)
        policies.append(policy_of(scopes))
        for probe in probes(source, scopes):
            if "*" in probe.resource:
                continue  # the evaluator reads it as a wildcard of the request; tests/unit asks those of our own
            asked.append(probe)
            expected.append(meant(scopes, probe))
            cases.append(
                Case(
                    policy=len(policies) - 1,
                    action=probe.action,
                    resource=probe.resource,
                    account=probe.account,
                    context=tuple(probe.context.items()),
                    bucket_policy=source.choice(("none", "everybody", "session")),
                )
            )
    return policies, asked, cases, expected


def test_what_is_meant_is_allowed_and_all_else_is_explicitly_denied() -> None:
    policies, _, cases, expected = generated(SEED, CASES)
    verdicts = simulate(policies, cases)
    wrong = [
        (case, verdict, policies[case.policy])
        for case, verdict, allowed in zip(cases, verdicts, expected, strict=True)
        if verdict != ("Allowed" if allowed else "ExplicitlyDenied")
    ]
    assert not wrong, f"{len(wrong)} of {len(cases)}, seed {SEED}; the first: {wrong[0]}"
    assert 200 < sum(expected) < len(cases) - 200


def test_our_own_evaluator_agrees_with_it() -> None:
    policies, asked, cases, _ = generated(SEED + 1, 400)
    alone = [
        Case(
            policy=case.policy,
            action=case.action,
            resource=case.resource,
            account=case.account,
            context=case.context,
            bucket_policy="none",
        )
        for case in cases
        if case.account == ACCOUNT
    ]
    verdicts = simulate(policies, alone)
    kept = [probe for probe, case in zip(asked, cases, strict=True) if case.account == ACCOUNT]
    for probe, case, verdict in zip(kept, alone, verdicts, strict=True):
        ours = evaluate(policies[case.policy], action=probe.action, resource=probe.resource, context=probe.context)
        assert ours.value == verdict, (probe, policies[case.policy])


def check_grants(folder: Path, seed: int, count: int) -> Counter[str]:
    """Generate so many grants: what they do not give is explicitly denied, beside a bucket policy that gives all."""
    source = random.Random(seed)
    policies: list[str] = []
    cases: list[Case] = []
    denied: list[bool] = []
    for asked, covered in asked_for(folder, source, count):
        text = policy_of(covered.scopes)
        if len(text) > MAX_CHARS:
            continue
        decided = Decided(scopes=covered.scopes, account=ACCOUNT, ends=(), session_ends_by=AT)
        assert isinstance(prove(text, decided), ProvedPolicy), f"seed {seed}: {asked}"
        policies.append(text)
        for probe in probes_of(source, asked, 3):
            if "*" in probe.resource:
                continue  # the evaluator reads it as a wildcard of the request; tests/unit asks those of our own
            denied.append(asked.denies(probe))
            cases.append(
                Case(
                    policy=len(policies) - 1,
                    action=probe.action,
                    resource=probe.resource,
                    account=probe.account,
                    context=tuple(probe.context.items()),
                    bucket_policy=source.choice(("none", "everybody", "session")),
                )
            )
    verdicts = simulate(policies, cases)
    wrong = [
        (case, verdict, policies[case.policy])
        for case, verdict, is_denied in zip(cases, verdicts, denied, strict=True)
        if is_denied and verdict != "ExplicitlyDenied"
    ]
    assert not wrong, f"{len(wrong)} of {len(cases)}, seed {seed}; the first: {wrong[0]}"
    return Counter(policies=len(policies), denied=sum(denied), **Counter(verdicts))


def test_what_grants_do_not_give_is_explicitly_denied(tmp_path: Path) -> None:
    seen = check_grants(tmp_path, SEED, 2_000)
    assert seen["policies"] > 1_200
    assert seen["denied"] > 2_500
    assert seen["Allowed"] > 200
    assert set(seen) == {"policies", "denied", "Allowed", "ExplicitlyDenied"}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(20))
def test_what_many_grants_do_not_give_is_explicitly_denied(tmp_path: Path, part: int) -> None:
    seen = check_grants(tmp_path, SEED + 1 + part, 5_000)
    assert seen["denied"] > 6_000
    assert seen["Allowed"] > 500


def without_fence(text: str) -> str:
    document = json.loads(text)
    document["Statement"] = [statement for statement in document["Statement"] if statement["Effect"] == "Allow"]
    return json.dumps(document)


def test_without_its_fence_a_policy_would_not_hold_against_a_bucket_policy() -> None:
    policies, _, cases, expected = generated(SEED + 2, 300)
    verdicts = simulate([without_fence(text) for text in policies], cases)
    denied = [verdict for verdict, allowed in zip(verdicts, expected, strict=True) if not allowed]
    assert "ImplicitlyDenied" in denied
    assert "ExplicitlyDenied" not in denied


def test_without_its_escapes_a_policy_would_open_other_names() -> None:
    policies, _, cases, expected = generated(SEED + 3, 600)
    bare = [text.replace("${*}", "*").replace("${?}", "?").replace("${$}", "$") for text in policies]
    verdicts = simulate(bare, cases)
    assert any(verdict == "Allowed" and not allowed for verdict, allowed in zip(verdicts, expected, strict=True))


def test_credentials_identities_and_keys_of_others_are_explicitly_denied() -> None:
    source = random.Random(SEED)
    policies = [policy_of(random_scopes(source)) for _ in range(10)]
    role = f"arn:aws:iam::{ACCOUNT}:role/penstock-lake-reader"
    asked = (
        ("sts:AssumeRole", role),
        ("sts:TagSession", role),
        ("sts:GetFederationToken", f"arn:aws:sts::{ACCOUNT}:federated-user/x"),
        ("kms:Decrypt", f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
        ("kms:CreateGrant", f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
        ("iam:PassRole", role),
    )
    cases = [
        Case(policy=index, action=action, resource=arn, account=ACCOUNT, context=(), bucket_policy="none")
        for index in range(len(policies))
        for action, arn in asked
    ]
    assert set(simulate(policies, cases)) == {"ExplicitlyDenied"}


def test_policies_of_generated_scopes_mostly_fit() -> None:
    source = random.Random(SEED)
    sizes = [len(policy_of(random_scopes(source, most=1))) for _ in range(200)]
    assert sum(size <= MAX_CHARS for size in sizes) > 150
