"""What grants of credentials have in common: whom they name, and how long a credential by them may live."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from penstock_server.model.principal import Principal, PrincipalSelector
from penstock_server.policy.bound import selectors_of
from penstock_server.policy.situation import Situation
from penstock_server.policy.source import DynamoDbGrant, RedshiftGrant, S3Grant, ServiceGrant

NOT_COVERED: Final = "your grants do not cover all that is asked for"
"""The one reason for every request that no grant covers, whether or not there is such a resource."""
BOUND_TO_ADDRESS: Final = (
    "a grant of yours that covers this holds for certain addresses only, and a credential works from any"
)

FOR_EVER: Final = datetime.max.replace(tzinfo=UTC)

G = TypeVar("G", S3Grant, RedshiftGrant, DynamoDbGrant, ServiceGrant)


def naming_grants(index: Mapping[PrincipalSelector, tuple[G, ...]], principal: Principal) -> tuple[G, ...]:
    """Give the grants that name the principal, by name, whether or not they hold."""
    found = {grant.name: grant for selector in selectors_of(principal) for grant in index.get(selector, ())}
    return tuple(found[name] for name in sorted(found))


def holding_grants(
    index: Mapping[PrincipalSelector, tuple[G, ...]], principal: Principal, situation: Situation
) -> tuple[G, ...]:
    """Give the grants that name the principal and hold, by name."""
    return tuple(grant for grant in naming_grants(index, principal) if situation.holds(grant))


def end_by(grant: S3Grant | RedshiftGrant | DynamoDbGrant | ServiceGrant, situation: Situation) -> datetime:
    """Give when a credential issued now by this grant alone would have to end."""
    by_ttl = FOR_EVER if grant.max_ttl is None else situation.instant + grant.max_ttl
    return min(by_ttl, situation.end_of(grant) or FOR_EVER)


def least_ttl(bounds: Iterable[timedelta | None]) -> timedelta | None:
    """Give the smallest bound that there is."""
    return min((bound for bound in bounds if bound is not None), default=None)


def first_end(instants: Iterable[datetime | None]) -> datetime | None:
    """Give the first instant that there is."""
    return min((instant for instant in instants if instant is not None), default=None)
