"""Mistakes that a builder of session policies could make, each made in the real one: the proof refuses every one."""

from __future__ import annotations

import pytest
from support.session_proof_suites import mistake
from support.weak_builders import MISTAKES


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_of_the_builder_is_refused_with_a_request_that_shows_it(name: str) -> None:
    mistake(name)
