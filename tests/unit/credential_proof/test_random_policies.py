"""Random policies against brute force: nothing that is proved has a shortcoming, and no witness is wrong."""

from __future__ import annotations

import pytest
from support.session_proof_suites import random_policies

SEED = 20261124


def test_random_policies_are_judged_as_brute_force_judges_them() -> None:
    seen = random_policies(SEED, 2_000, checked_by_grid=40)
    assert seen["proved"] > 400
    assert seen["refused"] > 800
    assert seen["grid agrees"] > 5 * seen["grid is blind"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(10))
def test_many_random_policies_are_judged_as_brute_force_judges_them(part: int) -> None:
    seen = random_policies(SEED + 1 + part, 5_000, checked_by_grid=20)
    assert seen["proved"] > 1_000
    assert seen["refused"] > 2_000
