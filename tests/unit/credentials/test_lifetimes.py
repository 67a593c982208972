from __future__ import annotations

from datetime import timedelta

import pytest
from penstock_server.config.settings import LifetimeRule
from penstock_server.credentials.lifetimes import Bound, grant_bounds, shortest, token_bounds, ttl_bound
from penstock_server.errors import LimitExceeded, Reason
from support.credentials import principal
from support.tokens import SteppedClock

CLOCK = SteppedClock()
NOW = CLOCK.now()


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def bounds(
    *,
    asked: timedelta | None = None,
    grant: timedelta | None = None,
    ends_in: timedelta | None = None,
    token_life: timedelta = timedelta(hours=8),
    rule: LifetimeRule = LifetimeRule.TOKEN,
    role: timedelta = timedelta(hours=1),
    revocable: bool = True,
) -> tuple[Bound, ...]:
    ends = () if ends_in is None else (NOW + ends_in, NOW + timedelta(days=9))
    return (
        ttl_bound(asked),
        *grant_bounds(grant, ends, NOW),
        *token_bounds(principal(token_ends=NOW + token_life), rule, NOW, revocable=revocable),
        Bound(source="role", lifetime=role, hint=""),
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (bounds(), 60),
        (bounds(asked=minutes(15)), 15),
        (bounds(asked=timedelta(hours=12)), 60),
        (bounds(grant=minutes(30)), 30),
        (bounds(ends_in=minutes(20)), 20),
        (bounds(token_life=minutes(25)), 25),
        (bounds(token_life=minutes(5), rule=LifetimeRule.FIXED), 60),
        (bounds(role=minutes(45)), 45),
        (bounds(token_life=minutes(20), rule=LifetimeRule.FIXED, revocable=False), 20),
        (bounds(asked=minutes(50), grant=minutes(40), ends_in=minutes(30), token_life=minutes(20)), 20),
    ],
)
def test_the_smallest_bound_decides(given: tuple[Bound, ...], expected: int) -> None:
    assert shortest(given) == minutes(expected)


@pytest.mark.parametrize(
    ("given", "source", "hint"),
    [
        (bounds(token_life=minutes(14.99)), "remaining life of the access token", "sign in again"),
        (bounds(token_life=minutes(-1)), "remaining life of the access token", "lifetime: fixed"),
        (bounds(ends_in=minutes(14)), "end of the grant", "renew"),
        (bounds(ends_in=minutes(14), rule=LifetimeRule.FIXED), "end of the grant", "renew"),
    ],
)
def test_below_a_quarter_of_an_hour_is_refused_with_what_to_do(
    given: tuple[Bound, ...], source: str, hint: str
) -> None:
    with pytest.raises(LimitExceeded) as refused:
        shortest(given)
    assert refused.value.reason is Reason.LIFETIME_TOO_SHORT
    assert source in refused.value.message
    assert hint in refused.value.hint


def test_parts_of_a_second_are_cut_and_never_added() -> None:
    life = timedelta(minutes=20, milliseconds=999)
    assert shortest(bounds(token_life=life)) == minutes(20)
