"""Mutation control of the proof itself: with any one of its rules switched off, a suite goes red."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest
from penstock_server.credentials.fit import print_session_policy
from penstock_server.credentials.proof.outcomes import Doubt, ProvedPolicy
from penstock_server.credentials.proof.permits import Decided
from penstock_server.credentials.proof.proving import prove
from support.s3_scopes import ACCOUNT, ENDED
from support.session_proof_suites import directed_pairs, mistakes, random_policies, regions
from support.weak_builders import PLAIN
from support.weak_session_proofs import WEAKNESSES

SEED = 7


def stars() -> None:
    """A Deny whose `*` would have to reach across the parts of an ARN is not relied on."""
    decided = Decided(scopes=PLAIN, account=ACCOUNT, ends=(), session_ends_by=ENDED + timedelta(hours=1))
    document = json.loads(print_session_policy(PLAIN, ACCOUNT, None))
    for statement in document["Statement"]:
        if statement["Effect"] == "Deny" and "StringNotLike" in statement.get("Condition", {}):
            statement["Resource"] = "arn:*acme-lake"
    outcome = prove(json.dumps(document), decided)
    assert not isinstance(outcome, ProvedPolicy)
    assert outcome.doubt is Doubt.NOT_FENCED


SUITES: Mapping[str, Callable[[], object]] = {
    "pairs": lambda: directed_pairs(SEED, 300),
    "regions": lambda: regions(SEED, 40),
    "policies": lambda: random_policies(SEED, 300, checked_by_grid=1_000),
    "mistakes": mistakes,
    "stars": stars,
}


@pytest.mark.parametrize("suite", SUITES)
def test_the_suites_are_green_with_every_rule(suite: str) -> None:
    SUITES[suite]()


@pytest.mark.parametrize("name", WEAKNESSES)
def test_a_suite_goes_red_without_a_rule(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    weaken, suite = WEAKNESSES[name]
    weaken(monkeypatch)
    with pytest.raises((AssertionError, StopIteration, IndexError)):
        SUITES[suite]()
