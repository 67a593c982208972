"""What the builder prints is proved, whatever the names in it; and every other reading of it is not."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import penstock_server
import pytest
from penstock_server.credentials.fit import print_session_policy
from penstock_server.credentials.proof.outcomes import Doubt, ProvedPolicy
from penstock_server.credentials.proof.permits import Decided
from penstock_server.credentials.proof.proving import prove
from penstock_server.credentials.proof.steps import MAX_STEPS, Steps
from penstock_server.credentials.session_policy import MAX_CHARS
from penstock_server.model.decision import S3Scope
from penstock_server.model.resource import S3Permission
from support.s3_scopes import ACCOUNT, random_scopes
from support.weak_builders import PLAIN, scope

SEED = 20261124
END = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)


def decided(*scopes: S3Scope, ends: tuple[datetime, ...] = ()) -> Decided:
    return Decided(scopes=scopes, account=ACCOUNT, ends=ends, session_ends_by=END + timedelta(minutes=30))


def printed(what: Decided) -> str:
    return print_session_policy(what.scopes, what.account, what.until)


def right(source: random.Random) -> tuple[str, Decided]:
    while True:
        ends = source.choice(((), (END,), (END + timedelta(hours=9),)))
        what = decided(*random_scopes(source, most=source.choice((1, 3, 6))), ends=ends)
        text = printed(what)
        if len(text) <= MAX_CHARS:
            return text, what


def check(seed: int, count: int) -> int:
    source = random.Random(seed)
    most = 0
    for number in range(count):
        text, what = right(source)
        steps = Steps()
        outcome = prove(text, what, steps=steps)
        assert isinstance(outcome, ProvedPolicy), f"seed {seed}, policy {number}: {outcome} of {what}: {text}"
        most = max(most, steps.spent)
    return most


def test_no_right_policy_is_refused() -> None:
    assert check(SEED, 2_000) < MAX_STEPS / 20


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_none_of_many_right_policies_is_refused() -> None:
    assert check(SEED + 1, 10_000) < MAX_STEPS / 20


@pytest.mark.parametrize(
    "key",
    [
        "*/",
        "?/",
        "$/",
        "${aws:username}/",
        "${*}/",
        '"/',
        "\\/",
        "../",
        "//",
        "a*b?c$d{e}/",
        "caf\u00e9/",
        "cafe\u0301/",
        "\U0001f600/\u4e2d/",
        "\u202e/",
        "k" * 1_000 + "/",
        "*" * 60 + "/",
        "?" * 60,
        "x" * 600,
    ],
)
@pytest.mark.parametrize("more", [(), PLAIN])
def test_hostile_names_are_proved_and_refused_under_another_name(key: str, more: tuple[S3Scope, ...]) -> None:
    what = decided(scope(key, S3Permission.READ), *more)
    text = printed(what)
    if len(text) > MAX_CHARS:
        assert len(key) > 200
        return
    assert isinstance(prove(text, what), ProvedPolicy)
    for other in (key[:-1] + "x/", "x" + key, key + "y/", key.replace("*", "x").replace("?", "y").replace("$", "z")):
        if other == key:
            continue
        outcome = prove(text, decided(scope(other, S3Permission.READ), *more))
        assert not isinstance(outcome, ProvedPolicy)


def test_each_byte_counts() -> None:
    # The lowest bit: no letter becomes its own capital, which would mean the same in an action.
    what = decided(scope("fin/", S3Permission.READ, S3Permission.LIST, S3Permission.WRITE), scope("a.csv"), ends=(END,))
    text = printed(what)
    assert isinstance(prove(text, what), ProvedPolicy)
    for place in range(len(text)):
        changed = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
        assert not isinstance(prove(changed, what), ProvedPolicy), changed[max(0, place - 20) : place + 20]


def test_each_byte_may_not_be_lost_either() -> None:
    what = decided(scope("fin/", S3Permission.READ, S3Permission.LIST, S3Permission.WRITE), ends=(END,))
    text = printed(what)
    for place in range(len(text)):
        assert not isinstance(prove(text[:place] + text[place + 1 :], what), ProvedPolicy), place


def test_the_policy_of_another_decision_is_refused() -> None:
    source = random.Random(SEED)
    pairs = [right(source) for _ in range(120)]
    differing = 0
    for (text, what), (other_text, other) in pairwise(pairs):
        if text == other_text:
            continue
        differing += 1
        assert not isinstance(prove(text, other), ProvedPolicy), (text, other)
        assert not isinstance(prove(other_text, what), ProvedPolicy), (other_text, what)
    assert differing > 100


def test_a_session_that_is_over_before_its_decision_needs_no_end() -> None:
    late = decided(*PLAIN, ends=(END + timedelta(hours=1),))
    assert late.until is None
    assert isinstance(prove(printed(late), late), ProvedPolicy)


def test_a_session_may_end_up_to_a_second_before_its_decision_and_not_more() -> None:
    what = decided(*PLAIN, ends=(END,))
    text = printed(what)
    assert "2026-11-24T12:00:00Z" in text
    assert isinstance(prove(text, what), ProvedPolicy)
    earlier = prove(text.replace("12:00:00Z", "11:59:59Z"), what)
    later = prove(text.replace("12:00:00Z", "12:00:01Z"), what)
    assert not isinstance(earlier, ProvedPolicy)
    assert not isinstance(later, ProvedPolicy)
    assert (earlier.doubt, later.doubt) == (Doubt.ALLOWS_LESS, Doubt.NOT_FENCED)


def test_too_many_steps_are_no_proof() -> None:
    what = decided(*PLAIN)
    outcome = prove(printed(what), what, steps=Steps(20))
    assert not isinstance(outcome, ProvedPolicy)
    assert outcome.doubt is Doubt.TOO_MANY_STEPS


def test_a_star_bomb_is_given_up_in_bounded_steps() -> None:
    what = decided(*PLAIN)
    bomb = "arn:aws:s3:::" + "*a*b?c" * 120
    text = printed(what).replace("arn:aws:s3:::acme-lake/finance/*", bomb, 1)
    steps = Steps()
    outcome = prove(text, what, steps=steps)
    assert not isinstance(outcome, ProvedPolicy)
    assert steps.spent < 2 * MAX_STEPS


def test_only_the_proof_makes_proved_policies() -> None:
    source = Path(penstock_server.__file__).parent
    makers = {path.name for path in source.rglob("*.py") if "ProvedPolicy(" in path.read_text()}
    assert makers == {"proving.py"}
