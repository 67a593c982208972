"""Random pairs of policies: by proof, and on a grid of all small values by an oracle that shares nothing with it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from penstock_server.policy.proof.budget import Budget
from support.proof_checks import EXACT, LAZY, checked_pairs, is_decided

_MODES = [
    pytest.param(EXACT, False, id="exact"),
    pytest.param(EXACT, True, id="patterns"),
    pytest.param(LAZY, True, id="free patterns"),
]


@pytest.mark.parametrize(("budget", "patterns"), _MODES)
def test_no_verdict_is_narrower_than_the_grid(budget: Budget, patterns: bool, tmp_path: Path) -> None:
    _check("pairs", 340, tmp_path, budget=budget, patterns=patterns)


def test_no_verdict_on_fields_of_structs_is_narrower_than_the_grid(tmp_path: Path) -> None:
    _check("structs", 150, tmp_path, budget=EXACT, patterns=False, structs=True)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_no_verdict_of_many_on_fields_of_structs_is_narrower_than_the_grid(tmp_path: Path) -> None:
    _check("many structs", 5_000, tmp_path, budget=EXACT, patterns=False, structs=True)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("budget", "patterns"), _MODES)
def test_no_verdict_of_many_is_narrower_than_the_grid(budget: Budget, patterns: bool, tmp_path: Path) -> None:
    _check("many pairs", 17_000, tmp_path, budget=budget, patterns=patterns)


def _check(seed: str, count: int, folder: Path, *, budget: Budget, patterns: bool, structs: bool = False) -> None:
    verdicts: Counter[str] = Counter()
    open_questions = 0
    for checked in checked_pairs(seed, count, folder, budget=budget, patterns=patterns, structs=structs):
        assert not checked.unsound
        assert not checked.unconfirmed
        verdicts[type(checked.verdict).__name__] += 1
        open_questions += not is_decided(checked.verdict)
    assert min(verdicts[name] for name in ("Same", "Narrowing", "Widening")) > count // 10
    assert open_questions <= max(2, count // 1000)
