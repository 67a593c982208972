"""Session policies on resources named whole before the foreign evaluator: all else is *explicitly* denied."""

from __future__ import annotations

import json
import random

import pytest
from penstock_server.credentials.proof.outcomes import ProvedPolicy
from penstock_server.credentials.proof.proving import prove
from penstock_server.credentials.session_policy import MAX_CHARS
from support.iam_simulator import Case, install, simulate
from support.service_scopes import decided, random_service_scopes, service_probes, services_meant, text_of

SEED = 20261124


@pytest.fixture(scope="session", autouse=True)
def evaluator() -> None:
    install()


def generated(seed: int, count: int) -> tuple[list[str], list[Case], list[bool]]:
    source = random.Random(seed)
    policies: list[str] = []
    cases: list[Case] = []
    expected: list[bool] = []
    while len(cases) < count:
        scopes = random_service_scopes(source)
        text = text_of(scopes)
        if len(text) > MAX_CHARS:
            continue
        assert isinstance(prove(text, decided(scopes)), ProvedPolicy), (seed, scopes)
        policies.append(text)
        for probe in service_probes(source, scopes, 8):
            expected.append(services_meant(scopes, probe))
            cases.append(
                Case(
                    policy=len(policies) - 1,
                    action=probe.action,
                    resource=probe.resource,
                    account=probe.account,
                    context=probe.context,
                    bucket_policy=source.choice(("none", "everybody", "session")),
                )
            )
    return policies, cases, expected


def check(seed: int, count: int) -> int:
    policies, cases, expected = generated(seed, count)
    verdicts = simulate(policies, cases)
    wrong = [
        (case, verdict, allowed, policies[case.policy])
        for case, verdict, allowed in zip(cases, verdicts, expected, strict=True)
        if verdict != ("Allowed" if allowed else "ExplicitlyDenied")
    ]
    assert not wrong, f"{len(wrong)} of {len(cases)}, seed {seed}; the first: {wrong[0]}"
    return sum(expected)


def test_what_is_meant_is_allowed_and_all_else_is_explicitly_denied() -> None:
    assert check(SEED, 1_200) > 100


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(10))
def test_of_many_requests_none_that_is_not_meant_is_left(part: int) -> None:
    assert check(SEED + 1 + part, 5_000) > 500


def test_without_its_fence_a_policy_would_not_hold_against_a_resources_own_policy() -> None:
    policies, cases, expected = generated(SEED + 20, 200)
    bare = []
    for text in policies:
        document = json.loads(text)
        document["Statement"] = [one for one in document["Statement"] if one["Effect"] == "Allow"]
        bare.append(json.dumps(document))
    verdicts = simulate(bare, cases)
    denied = [verdict for verdict, allowed in zip(verdicts, expected, strict=True) if not allowed]
    assert "ImplicitlyDenied" in denied
    assert "ExplicitlyDenied" not in denied
