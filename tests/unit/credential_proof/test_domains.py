"""Regions of texts: none is missing, none is empty, and each pattern has exactly its own."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from penstock_server.credentials.proof.domains import InstantDomain, ResourceDomain, TextDomain
from penstock_server.credentials.proof.patterns import beginning, read_pattern, text_of
from penstock_server.credentials.proof.steps import Steps, TooManySteps
from support.iam import like

SEED = 20261124
LETTERS = "ab*?"
TEXTS = tuple("".join(letters) for size in range(6) for letters in product("abz*", repeat=size))
"""Longer than the patterns, with a letter that no pattern names."""
ARN = "arn:aws:s3:::"


def domain(*patterns: str) -> TextDomain:
    return TextDomain([read_pattern(each) for each in patterns], Steps(), optional=False)


def counted(values: int) -> int:
    return values.bit_count()


def inside(one: str, *others: str) -> bool:
    """Tell whether one pattern's texts all lie in the union of others, as the proof tells it."""
    here = domain(one, *others)
    matching = here.matching([read_pattern(each) for each in others])
    return not here.matching([read_pattern(one)]) & ~matching


def test_plain_patterns_are_cut_between_their_beginnings() -> None:
    here = domain("a*", "ab", "ab*", "b")
    # what no pattern matches; a.. and no more; ab itself; ab.. and more; b
    assert counted(here.every) == 5
    assert counted(here.matching([read_pattern("a*")])) == 3
    assert counted(here.matching([read_pattern("ab*")])) == 2
    assert counted(here.matching([read_pattern("ab")])) == 1


def test_the_empty_beginning_leaves_nothing_outside() -> None:
    here = domain("*", "a")
    assert here.matching([read_pattern("*")]) == here.every
    assert counted(here.every) == 2


def test_a_key_may_be_absent() -> None:
    here = TextDomain([read_pattern("a*")], Steps(), optional=True)
    assert here.absent == 1
    assert here.sample(0) is None
    assert not here.matching([read_pattern("a*")]) & here.absent


@pytest.mark.parametrize(
    ("one", "others", "expected"),
    [
        ("a*", ["a*"], True),
        ("a*", ["a", "a?*"], True),
        ("a*", ["a?*"], False),
        ("a", ["a*"], True),
        ("a*", ["aa*", "ab*"], False),
        ("a*", ["a", "aa*", "ab*"], False),
        ("*", ["a*", "b*"], False),
        ("*", ["?*", ""], True),
        ("?", ["a", "b"], False),
        ("a*b", ["a*"], True),
        ("a*", ["a*b"], False),
        ("a*b*c", ["a*c"], True),
        ("a*c", ["a*b*c"], False),
        ("?a*", ["*a*"], True),
        ("a?", ["a*"], True),
        ("a??*", ["a?*"], True),
        ("a?*", ["a??*"], False),
        ("a?*", ["a??*", "a?"], True),
        ("finance*", ["finance/*"], False),
        ("finance/*", ["finance*"], True),
        ("fin/*", ["fin/a*", "fin/b*"], False),
        ("${*}*", ["*"], True),
        ("*", ["${*}*"], False),
    ],
)
def test_inclusion_of_patterns(one: str, others: list[str], *, expected: bool) -> None:
    assert inside(one, *others) is expected


def _directed(source: random.Random) -> tuple[str, list[str]]:
    """Give a pattern, and others made of it by cutting, splitting by a next letter, and small changes."""
    one = "".join(source.choice(LETTERS) for _ in range(source.randint(0, 3)))
    others = [one[:-1] + "*" for _ in range(source.randint(0, 1))]
    stem = one.removesuffix("*")
    following = source.sample(["", "a*", "b*", "?*", "*", "?", "a", "b", "z*"], source.randint(1, 5))
    others += [stem + each for each in following]
    if source.random() < 0.3:
        others.append("".join(source.choice(LETTERS) for _ in range(source.randint(0, 4))))
    return one, others


def directed_pairs(seed: int, count: int) -> int:
    source = random.Random(seed)
    included = 0
    for number in range(count):
        one, others = _directed(source)
        found = inside(one, *others)
        outside = [text for text in TEXTS if like(one, text) and not any(like(other, text) for other in others)]
        assert found is not bool(outside), f"seed {seed}, pair {number}: {one} in {others}: {outside[:3]}"
        included += found
    return included


def test_inclusion_agrees_with_brute_force_on_directed_pairs() -> None:
    assert 300 < directed_pairs(SEED, 1_500) < 1_400


@pytest.mark.slow
def test_inclusion_agrees_with_brute_force_on_many_directed_pairs() -> None:
    assert 5_000 < directed_pairs(SEED + 1, 25_000) < 23_000


@pytest.mark.parametrize("general", [False, True])
def test_every_region_has_a_text_of_its_own(*, general: bool) -> None:
    source = random.Random(SEED)
    for _ in range(200):
        texts = ["".join(source.choice("ab") for _ in range(source.randint(0, 3))) for _ in range(4)]
        patterns = [source.choice((text_of, beginning))(text) for text in texts]
        if general:
            patterns.append(read_pattern("a*b"))
        here = TextDomain(patterns, Steps(), optional=False)
        places = range(counted(here.every))
        for place in places:
            sample = here.sample(place)
            assert sample is not None
            assert here.place_of(sample) == place
            for pattern in patterns:
                assert pattern.matches(sample) == bool(here.matching([pattern]) >> place & 1)
        # and every text of the small world has a region
        assert {here.place_of(text) for text in TEXTS} <= set(places)


def test_buckets_and_objects_are_told_apart_in_either_way_of_cutting() -> None:
    plain = [text_of(f"{ARN}b"), beginning(f"{ARN}b/k/"), beginning(f"{ARN}b"), beginning("*")]
    for patterns in (plain, [*plain, read_pattern(f"{ARN}b/*x")]):
        here = ResourceDomain(patterns, Steps())
        for text, expected in (
            (f"{ARN}b", "bucket"),
            (f"{ARN}bc", "bucket"),
            (f"{ARN}bc/d", "object"),
            (f"{ARN}b/k/x", "object"),
            (ARN, "bucket"),
            ("arn:aws:s3:eu-west-1:1:accesspoint/b/object/k", "neither"),
            ("*", "neither"),
        ):
            place = here.place_of(text)
            found = "object" if here.objects >> place & 1 else "bucket" if here.buckets >> place & 1 else "neither"
            assert found == expected, (text, patterns)


def test_instants_are_cut_before_at_and_after() -> None:
    first, second = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    here = InstantDomain([second, first, first])
    assert counted(here.every) == 5
    assert here.before(first) == 0b00001
    assert here.until(first) == 0b00011
    assert here.before(second) == 0b00111
    assert here.until(second) == 0b01111
    samples = [datetime.fromisoformat(here.sample(place)) for place in range(5)]
    assert samples == sorted(samples)
    assert samples[1] == first
    assert samples[2] < second <= samples[4] - timedelta(microseconds=1)


def test_a_hopeless_set_of_patterns_is_given_up() -> None:
    hopeless = [read_pattern("*" + "".join(pair) + "*x" * 9) for pair in product("abcdefgh", repeat=2)]
    with pytest.raises(TooManySteps):
        TextDomain(hopeless, Steps(), optional=False)
