"""The suites of the proof of session policies as functions: run by the tests, and once more with rules switched off."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from itertools import product

import pytest
from penstock_server.credentials.fit import print_session_policy
from penstock_server.credentials.proof.domains import TextDomain
from penstock_server.credentials.proof.outcomes import Doubt, ProvedPolicy
from penstock_server.credentials.proof.patterns import beginning, read_pattern, text_of
from penstock_server.credentials.proof.permits import Decided
from penstock_server.credentials.proof.proving import prove
from penstock_server.credentials.proof.steps import Steps

from support.iam import like
from support.s3_scopes import ACCOUNT, ENDED
from support.small_policies import Case, confirms, random_case, shortcomings
from support.weak_builders import MISTAKES, Mistake

LETTERS = "ab*?"
TEXTS = tuple("".join(letters) for size in range(6) for letters in product("abz*", repeat=size))
"""Longer than the patterns, with a letter that no pattern names."""
_FOLLOWING = ("", "a*", "b*", "?*", "*", "?", "a", "b", "z*")
_PLAIN = ("", "a*", "b*", "a", "b", "aa*", "ab*")


def mistakes() -> None:
    """Make every named mistake in the real builder."""
    for name in MISTAKES:
        mistake(name)


def mistake(name: str) -> None:
    """Make one named mistake in the real builder: it must be refused, with a request that shows it."""
    made = MISTAKES[name]
    right = _printed(made)
    assert isinstance(prove(right.text, right.decided), ProvedPolicy)
    with pytest.MonkeyPatch.context() as patch:
        made.make(patch)
        wrong = _printed(made)
    assert wrong.text != right.text
    outcome = prove(wrong.text, wrong.decided)
    assert not isinstance(outcome, ProvedPolicy), name
    assert outcome.doubt is made.doubt, outcome
    if made.doubt is not Doubt.NOT_UNDERSTOOD:
        assert outcome.witness is not None
        assert confirms(wrong, outcome.doubt, outcome.witness), outcome


def _printed(made: Mistake) -> Case:
    ends = (ENDED,) if made.ends else ()
    decided = Decided(scopes=made.scopes, account=ACCOUNT, ends=ends, session_ends_by=ENDED + timedelta(hours=1))
    return Case(text=print_session_policy(decided.scopes, ACCOUNT, decided.until), decided=decided)


def random_policies(seed: int, count: int, *, checked_by_grid: int) -> Counter[str]:
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


def inside(one: str, *others: str) -> bool:
    """Tell whether one pattern's texts all lie in the union of others, as the proof tells it."""
    patterns = [read_pattern(each) for each in (one, *others)]
    here = TextDomain(patterns, Steps(), optional=False)
    return not here.matching(patterns[:1]) & ~here.matching(patterns[1:])


def directed_pairs(seed: int, count: int) -> int:
    """Compare inclusion with brute force where it is hard: patterns split by their next letters, or nearly so."""
    source = random.Random(seed)
    included = 0
    for number in range(count):
        one, others = _directed(source)
        found = inside(one, *others)
        outside = [text for text in TEXTS if like(one, text) and not any(like(other, text) for other in others)]
        assert found is not bool(outside), f"seed {seed}, pair {number}: {one} in {others}: {outside[:3]}"
        included += found
    return included


def _directed(source: random.Random) -> tuple[str, list[str]]:
    """Give a pattern, and others made by splitting one of its wildcards by the letter that comes next, or nearly so."""
    one = "".join(source.choice(LETTERS) for _ in range(source.randint(0, 3)))
    match source.randrange(3):
        case 0:
            return one, [one.removesuffix("*") + each for each in source.sample(_FOLLOWING, source.randint(1, 5))]
        case 1:  # a text or a beginning alone
            stem = one.replace("*", "").replace("?", "")
            return f"{stem}*", [stem + each for each in source.sample(_PLAIN, source.randint(1, len(_PLAIN)))]
        case _:
            wild = [place for place, letter in enumerate(one) if letter in "*?"]
            place = source.choice(wild) if wild else 0
            split = ["a", "b"] if one[place : place + 1] == "?" else ["", "a*", "b*"]
            split += source.sample(["?", "?*", "*", "z"], source.choice((0, 0, 1)))
            return one or "?", [f"{one[:place]}{each}{one[place + 1 :]}" for each in split]


def regions(seed: int, count: int) -> None:
    """Check that every text lies in one region, that every region has a text, and that patterns know their regions."""
    source = random.Random(seed)
    for number in range(count):
        texts = ["".join(source.choice("ab") for _ in range(source.randint(0, 3))) for _ in range(4)]
        patterns = [source.choice((text_of, beginning))(text) for text in texts]
        if number % 2:
            patterns.append(read_pattern("a*b"))
        here = TextDomain(patterns, Steps(), optional=False)
        places = range(here.every.bit_length())
        for place in places:
            sample = here.sample(place)
            assert sample is not None
            assert here.place_of(sample) == place
            for pattern in patterns:
                assert pattern.matches(sample) == bool(here.matching([pattern]) >> place & 1)
        assert {here.place_of(text) for text in source.sample(TEXTS, 60)} <= set(places)
