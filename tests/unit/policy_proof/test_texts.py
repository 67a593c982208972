"""Regions of texts: complete, exact, and with a witness each."""

from __future__ import annotations

import re
from itertools import product
from random import Random

import pytest
from penstock_server.policy.proof.budget import Budget, OutOfBudget
from penstock_server.policy.proof.globs import Glob, GlobSet, Wild, like, literal_text, normal
from penstock_server.policy.proof.texts import Constants, Kind, kinds_of_texts
from support.proof_checks import EXACT, LAZY
from support.text_tests import CONSTANTS, LETTERS, directed_pairs, wrong_answer

_ALL = ["".join(letters) for size in range(5) for letters in product(LETTERS, repeat=size)]


@pytest.mark.parametrize("budget", [pytest.param(EXACT, id="exact"), pytest.param(LAZY, id="free patterns")])
def test_directed_pairs_of_text_tests_are_answered_right(budget: Budget) -> None:
    assert [wrong for old, new in directed_pairs("directed", 3_000) if (wrong := wrong_answer(old, new, budget))] == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("budget", [pytest.param(EXACT, id="exact"), pytest.param(LAZY, id="free patterns")])
def test_many_directed_pairs_of_text_tests_are_answered_right(budget: Budget) -> None:
    pairs = directed_pairs("many directed", 30_000)
    assert [wrong for old, new in pairs if (wrong := wrong_answer(old, new, budget))] == []


def test_every_text_is_of_a_kind_that_was_found_and_every_witness_is_of_its_kind() -> None:
    random = Random("kinds")
    for _ in range(60):
        patterns = ["".join(random.choice("aacc_%%") for _ in range(random.randint(1, 4))) for _ in range(2)]
        order = tuple(sorted(random.sample(CONSTANTS, random.randint(0, 3))))
        points = frozenset((*order, *random.sample(CONSTANTS, 2)))
        found = kinds_of_texts(
            GlobSet([like(pattern) for pattern in patterns]),
            Constants(order=order, points=points),
            states=None,
            wanted=None,
        )
        for text in _ALL:
            if text not in points:
                assert _kind(text, patterns, order) in found, (text, patterns, order, points)
        for kind, witness in found.items():
            assert witness not in points
            assert _kind(witness, patterns, order) == kind, (witness, patterns, order, points)


def _kind(text: str, patterns: list[str], order: tuple[str, ...]) -> Kind:
    regexes = [pattern.replace("%", ".*").replace("_", ".") for pattern in patterns]
    matched = sum(1 << i for i, regex in enumerate(regexes) if re.fullmatch(regex, text, re.DOTALL))
    return sum(constant < text for constant in order), matched


def test_a_kind_whose_only_texts_are_points_is_not_there() -> None:
    # Only `ab` begins with a, ends with b, and has no third character; as a point it is a region of its own.
    globs = GlobSet([like("a%"), like("%b"), like("a_%")])
    with_two = kinds_of_texts(globs, Constants(order=(), points=frozenset()), states=None, wanted=None)
    assert (0, 0b111) in with_two
    globs = GlobSet([like("a%"), like("___%")])
    constants = Constants(order=(), points=frozenset({"a"}))
    assert (0, 0b01) in kinds_of_texts(globs, constants, states=None, wanted=None)
    few = Constants(order=("a", "a\0"), points=frozenset({"a", "a\0"}))
    assert all(place != 1 for place, _ in kinds_of_texts(GlobSet([]), few, states=None, wanted=None))


def test_between_two_texts_there_is_nothing_only_where_nul_characters_leave_no_room() -> None:
    order = ("a", "a\0\0")
    constants = Constants(order=order, points=frozenset(order))
    found = kinds_of_texts(GlobSet([]), constants, states=None, wanted=None)
    assert found[1, 0] == "a\0"
    taken = Constants(order=order, points=frozenset({*order, "a\0"}))
    assert (1, 0) not in kinds_of_texts(GlobSet([]), taken, states=None, wanted=None)


def test_patterns_that_mean_the_same_are_spelled_the_same() -> None:
    assert like("a%_%%_b") == like("a__%b") == ("a", Wild.ONE, Wild.ONE, Wild.RUN, "b")
    assert normal(()) == ()
    assert literal_text(like("ab")) == "ab"
    assert literal_text(like("a%")) is None


def test_an_automaton_matches_as_regular_expressions_do() -> None:
    patterns = ["", "%", "_", "a%", "%c", "a_c%", "%a%c%", "__", "a%a"]
    globs: list[Glob] = [like(pattern) for pattern in patterns]
    automaton = GlobSet(globs)
    for text in _ALL[:800]:
        assert automaton.matches(text) == _kind(text, patterns, ())[1]


def test_too_many_states_are_refused_and_not_cut_short() -> None:
    globs = GlobSet([like(f"%{letter}%") for letter in "abcdefghijkl"])
    with pytest.raises(OutOfBudget, match="states"):
        kinds_of_texts(globs, Constants(order=(), points=frozenset()), states=400, wanted=None)
