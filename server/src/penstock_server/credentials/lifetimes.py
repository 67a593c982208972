"""How long a credential lives: the smallest of every bound that applies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock_server.config.settings import LifetimeRule
from penstock_server.errors import LimitExceeded, Reason
from penstock_server.model.principal import Principal

MINIMUM = timedelta(minutes=15)
"""AWS: neither STS nor Redshift issues anything shorter."""
MAXIMUM = timedelta(hours=1)
"""AWS: a role that is assumed with a role's credentials is chained, and then lives one hour at most; longer fails.

A Redshift password lives one hour at most too, and a credential that may outlive its token is not given longer.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """An upper bound on the lifetime, what it comes from, and what the caller can do about it."""

    source: str
    lifetime: timedelta
    hint: str


def ttl_bound(asked: timedelta | None, *, most: timedelta = MAXIMUM) -> Bound:
    """Give the bound of the request itself; None asks for as long as may be, up to one hour.

    `most` is the longest that may be asked for.
    """
    return Bound(source="ttl", lifetime=min(MAXIMUM if asked is None else asked, most), hint="ask for longer")


def grant_bounds(max_ttl: timedelta | None, ends: Iterable[datetime], now: datetime) -> tuple[Bound, ...]:
    """Give the bounds of a decision: what its grants state, and the instants at which they end."""
    bounds = [
        Bound(source="end of the grant", lifetime=end - now, hint="ask the owner of the data to renew the grant")
        for end in ends
    ]
    if max_ttl is not None:
        bounds.append(Bound(source="max_ttl of the grant", lifetime=max_ttl, hint="ask the owner of the data"))
    return tuple(bounds)


def token_bounds(principal: Principal, rule: LifetimeRule, now: datetime, *, revocable: bool) -> tuple[Bound, ...]:
    """Give the bound of the access token: its remaining life, unless credentials may outlive it.

    SECURITY: one that nobody can revoke never outlives its token, whatever the rule.
    """
    match rule if revocable else LifetimeRule.TOKEN:
        case LifetimeRule.TOKEN:
            return (
                Bound(
                    source="remaining life of the access token",
                    lifetime=principal.expires_at - now,
                    hint="sign in again for a fresh token; where tokens are always so short, the operator can set"
                    " `credentials.lifetime: fixed`",
                ),
            )
        case LifetimeRule.FIXED:
            return ()


def shortest(bounds: Iterable[Bound]) -> timedelta:
    """Give the lifetime, in whole seconds rounded down.

    Raises:
        LimitExceeded: it would be below 15 minutes; the bound that decided is named.
    """
    decisive = min(bounds, key=lambda bound: bound.lifetime)
    lifetime = timedelta(seconds=decisive.lifetime // timedelta(seconds=1))
    if lifetime < MINIMUM:
        raise LimitExceeded(
            Reason.LIFETIME_TOO_SHORT,
            f"the credentials would live less than the 15 minutes that AWS asks for, because of the {decisive.source}",
            limit=f"shortest lifetime, against {decisive.source}",
            value="15 min",
            hint=decisive.hint,
        )
    return lifetime
