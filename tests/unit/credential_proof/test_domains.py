"""Regions of texts: none is missing, none is empty, and each pattern has exactly its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from penstock_server.credentials.proof.domains import InstantDomain, ResourceDomain, TextDomain
from penstock_server.credentials.proof.patterns import beginning, read_pattern, text_of
from penstock_server.credentials.proof.steps import Steps, TooManySteps
from support.session_proof_suites import directed_pairs, inside, regions

SEED = 20261124
ARN = "arn:aws:s3:::"


def domain(*patterns: str) -> TextDomain:
    return TextDomain([read_pattern(each) for each in patterns], Steps(), optional=False)


def counted(values: int) -> int:
    return values.bit_count()


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


def test_inclusion_agrees_with_brute_force_on_directed_pairs() -> None:
    assert 300 < directed_pairs(SEED, 1_500) < 1_400


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_inclusion_agrees_with_brute_force_on_many_directed_pairs() -> None:
    assert 5_000 < directed_pairs(SEED + 1, 25_000) < 23_000


def test_every_text_has_a_region_and_every_region_a_text() -> None:
    regions(SEED, 300)


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
