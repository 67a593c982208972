"""Random pairs of policies: by proof, and on a grid of all small values by an oracle that shares nothing with it."""

from __future__ import annotations

import os
import secrets
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from penstock_server.policy.proof.budget import Budget
from support.proof_checks import EXACT, LAZY, check_pair, checked_pairs, is_decided
from support.random_pairs import Feature, random_pair

_MODES = [
    pytest.param(EXACT, False, id="exact"),
    pytest.param(EXACT, True, id="patterns"),
    pytest.param(LAZY, True, id="free patterns"),
]
_FRESH = os.environ.get("PENSTOCK_PAIRS_SEED") or secrets.token_hex(4)
"""Of the slow tests: another one in every run. A failure names it, and it can be given again."""


@pytest.mark.parametrize(("budget", "patterns"), _MODES)
def test_no_verdict_is_narrower_than_the_grid(budget: Budget, patterns: bool, tmp_path: Path) -> None:
    _check("pairs", 260, tmp_path, budget=budget, patterns=patterns)


def test_no_verdict_on_fields_of_structs_is_narrower_than_the_grid(tmp_path: Path) -> None:
    _check("structs", 120, tmp_path, budget=EXACT, patterns=False, structs=True)


@pytest.mark.parametrize("feature", Feature)
def test_no_verdict_on_what_pairs_may_be_about_is_narrower_than_the_grid(feature: Feature, tmp_path: Path) -> None:
    _check("features", 40, tmp_path, budget=EXACT, patterns=False, feature=feature)


def test_a_witness_whose_values_were_tried_out_names_every_column_that_decides(tmp_path: Path) -> None:
    old, new = random_pair(Random("f-035cc905-subject-146"), patterns=False, feature=Feature.SUBJECT)
    assert not check_pair(old, new, tmp_path, budget=EXACT).unconfirmed


def test_rules_that_deny_are_never_the_same_or_narrower(tmp_path: Path) -> None:
    pairs = checked_pairs("denials", 30, tmp_path, budget=EXACT, patterns=False, feature=Feature.DENYING_RULES)
    denying = [checked for checked in pairs if checked.by_design]
    assert len(denying) > 10
    assert not any(is_decided(checked.verdict) for checked in denying)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_no_verdict_of_many_on_fields_of_structs_is_narrower_than_the_grid(tmp_path: Path) -> None:
    _check(f"structs {_FRESH}", 5_000, tmp_path, budget=EXACT, patterns=False, structs=True)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("budget", [pytest.param(EXACT, id="exact"), pytest.param(LAZY, id="free patterns")])
@pytest.mark.parametrize("feature", Feature)
def test_no_verdict_of_many_on_what_pairs_may_be_about_is_narrower_than_the_grid(
    feature: Feature, budget: Budget, tmp_path: Path
) -> None:
    _check(f"features {_FRESH}", 1_500, tmp_path, budget=budget, patterns=budget is LAZY, feature=feature)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("budget", "patterns"), _MODES)
def test_no_verdict_of_many_is_narrower_than_the_grid(budget: Budget, patterns: bool, tmp_path: Path) -> None:
    _check(f"pairs {_FRESH}", 12_000, tmp_path, budget=budget, patterns=patterns)


def _check(
    seed: str,
    count: int,
    folder: Path,
    *,
    budget: Budget,
    patterns: bool,
    structs: bool = False,
    feature: Feature | None = None,
) -> None:
    """Hold pairs against the grid; each of them is made from the seed and its number alone."""
    sys.stdout.write(f"seed: {seed}\n")
    verdicts: Counter[str] = Counter()
    open_questions = 0
    pairs = checked_pairs(seed, count, folder, budget=budget, patterns=patterns, structs=structs, feature=feature)
    for checked in pairs:
        assert not checked.unsound
        assert not checked.unconfirmed
        verdicts[type(checked.verdict).__name__] += 1
        # What the proof has no full reading of is counted apart: it may be undecided, and must not be wrong.
        open_questions += not is_decided(checked.verdict) and not checked.by_design
    sys.stdout.write(f"{count} pairs: {dict(verdicts)}, {open_questions} undecided\n")
    fewest = count // (10 if feature is None else 25)
    assert min(verdicts[name] for name in ("Same", "Narrowing", "Widening")) > fewest
    assert open_questions <= max(2, count // 1000)
