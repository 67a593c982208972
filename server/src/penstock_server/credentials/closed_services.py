"""Engines and metadata are opened only where the caller may see everything that lies behind them.

1. **Glue**: metadata of a table, with its statistics and partitions, where the policy knows a table of that database
   and name and every such one is full for this principal; of a database, where every table of it is. One that the
   policy does not know may be any table.
2. **Athena** and **the Redshift Data API**: what a statement reads is not known beforehand, results stay where others
   of the workgroup read them, and an external schema of a cluster reads the files of other tables: so every table of
   every catalog must be full.

The answer is one text: it names the query door, and never what is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from penstock_server.errors import AccessDenied, Reason
from penstock_server.model.decision import TableDecision
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.model.schema import TableSchema
from penstock_server.model.services import Service, ServiceTarget
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.evaluation import decide


def require_open_services(
    targets: Iterable[ServiceTarget], *, policy: BoundPolicy, principal: Principal, facts: RequestFacts
) -> tuple[datetime, ...]:
    """Check what was asked for of services by which raw data is reached.

    Gives the instants at which one of the tables that were found full may change.

    Raises:
        AccessDenied: `LOCATION_CLOSED`; the detail, for the audit, says what was found.
    """
    ends: list[datetime] = []
    for target in targets:
        for table in _behind(target, policy):
            outcome = decide(policy, principal, table.name, facts=facts)
            if not isinstance(outcome, TableDecision) or not outcome.full:
                raise _closed(target, f"table {table.name}, which is not full for the caller")
            if outcome.expires_at is not None:
                ends.append(outcome.expires_at)
    return tuple(ends)


def _behind(target: ServiceTarget, policy: BoundPolicy) -> tuple[TableSchema, ...]:
    """Give the tables that must be full."""
    if target.service in (Service.ATHENA, Service.REDSHIFT_DATA):
        return tuple(policy.snapshot.tables)
    if target.service is not Service.GLUE:
        return ()
    _, *names = target.name.split("/")
    # Glue: names are in lower case. Which catalog of the configuration is which of Glue does not matter: each counts.
    found = tuple(table for table in policy.snapshot.tables if _named(table)[: len(names)] == names)
    if not found:
        # SECURITY: what is not known to the policy counts as governed.
        raise _closed(target, "nothing that the policy knows a table of")
    return found


def _named(table: TableSchema) -> list[str]:
    return [table.name.database.lower(), table.name.table.lower()]


def _closed(target: ServiceTarget, found: str) -> AccessDenied:
    return AccessDenied(
        Reason.LOCATION_CLOSED,
        f"`{target}` is closed to credentials, because rows or columns behind it may be hidden from you",
        hint="read the tables with `penstock query`, which shows what you may see of them",
        metadata=(("resource", str(target)),),
        detail=f"{target} reaches {found}",
    )
