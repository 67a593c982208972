"""Random policies against brute force: nothing that is proved has a shortcoming, and no witness is wrong."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from penstock_server.credentials.proof.proving import Doubt, ProvedPolicy, prove
from support.small_policies import confirms, random_case, shortcomings

SEED = 20261124


def judged(seed: int, count: int, *, checked_by_grid: int) -> Counter[str]:
    """Prove so many policies; of those refused, ask the grid about one in `checked_by_grid`, which may be blind."""
    source = random.Random(seed)
    seen: Counter[str] = Counter()
    for number in range(count):
        case = random_case(source)
        outcome = prove(case.text, case.decided)
        if isinstance(outcome, ProvedPolicy):
            seen["proved"] += 1
            assert not shortcomings(case), f"seed {seed}, policy {number}: proved, and wrong: {case}"
        elif outcome.doubt is not Doubt.NOT_UNDERSTOOD:
            assert outcome.witness is not None, f"seed {seed}, policy {number}: {outcome} of {case}"
            assert confirms(case, outcome.doubt, outcome.witness), f"seed {seed}, policy {number}: {outcome} of {case}"
            seen["refused"] += 1
            if number % checked_by_grid == 0:
                seen["grid agrees" if shortcomings(case) else "grid is blind"] += 1
    return seen


def test_random_policies_are_judged_as_brute_force_judges_them() -> None:
    seen = judged(SEED, 2_000, checked_by_grid=40)
    assert seen["proved"] > 400
    assert seen["refused"] > 800
    assert seen["grid agrees"] > 5 * seen["grid is blind"]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_many_random_policies_are_judged_as_brute_force_judges_them(part: int) -> None:
    seen = judged(SEED + 1 + part, 5_000, checked_by_grid=20)
    assert seen["proved"] > 1_000
    assert seen["refused"] > 2_000
