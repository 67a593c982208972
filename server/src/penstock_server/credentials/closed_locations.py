"""Raw access is issued only where the caller may see everything.

A scope is closed where it overlaps, from above or below:

1. a **protected location** of the configuration (result buckets, exports, inventories);
2. a **catalog table** that is not full for this principal: all columns present and future, every row, no mask, no
   rule, no denial. A table without a grant counts as hidden, not as absent;
3. a **catalog's location** and is not within one of its tables: what else lies there, or will, is not known to the
   policy. So who sees all of every table may have each of them, and not the prefix above them.

The answer is one text for all three: it names the query door, and never what is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from penstock_server.credentials.arns import RequestedArn
from penstock_server.credentials.location_index import LocationIndex, overlaps, within
from penstock_server.errors import AccessDenied, Reason
from penstock_server.model.decision import TableDecision
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.model.resource import S3Location
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.evaluation import decide


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredLocations:
    """What the configuration says of locations: `protected` are closed to everybody, `catalogs` hold the tables."""

    protected: tuple[S3Location, ...]
    catalogs: tuple[S3Location, ...]


def require_open(
    requested: Iterable[RequestedArn],
    *,
    policy: BoundPolicy,
    locations: LocationIndex,
    principal: Principal,
    configured: ConfiguredLocations,
    facts: RequestFacts,
) -> tuple[datetime, ...]:
    """Check every requested scope; `locations` are those of the policy's own tables.

    Gives the instants at which one of the tables that were found full may change.

    Raises:
        AccessDenied: `LOCATION_CLOSED`; the detail, for the audit, says what was found.
    """
    ends: list[datetime] = []
    for arn in requested:
        if any(overlaps(arn, location) for location in configured.protected):
            raise _closed(arn, "a protected location of the configuration")
        tables = locations.overlapping(arn)
        for table in tables:
            outcome = decide(policy, principal, table.name, facts=facts)
            if not isinstance(outcome, TableDecision) or not outcome.full:
                raise _closed(arn, f"table {table.name}, which is not full for the caller")
            if outcome.expires_at is not None:
                ends.append(outcome.expires_at)
        # SECURITY: what was put there after the policy was bound, or is no table, is hidden at the query door.
        known = any(table.location is not None and within(arn, table.location) for table in tables)
        if not known and any(overlaps(arn, location) for location in configured.catalogs):
            raise _closed(arn, "a catalog's location where the policy knows no table")
    return tuple(ends)


def _closed(arn: RequestedArn, found: str) -> AccessDenied:
    return AccessDenied(
        Reason.LOCATION_CLOSED,
        f"`{arn.text}` is closed to credentials, because rows or columns there may be hidden from you",
        hint="read the tables with `penstock query`, which shows what you may see of them",
        metadata=(("resource", arn.text),),
        detail=f"{arn.text} overlaps {found}",
    )
