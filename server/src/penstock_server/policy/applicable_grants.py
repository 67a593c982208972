"""Step 1 of the decision: the grants that apply to a principal on a table, now."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from penstock_server.model.principal import Principal, PrincipalSelector
from penstock_server.model.resource import TablePermission
from penstock_server.policy.bound import BoundGrant, BoundPolicy, BoundTable, GrantsOfPrincipal, TableKey, selectors_of


def named_grants(policy: BoundPolicy, principal: Principal, key: TableKey) -> tuple[BoundGrant, ...]:
    """Give every grant that names the principal and the table, by name; those past their end too."""
    found: dict[str, BoundGrant] = {}
    for selector in selectors_of(principal):
        of_selector = policy.grants.get(selector)
        if of_selector is not None:
            found.update((grant.name, grant) for grant in _on(of_selector, key))
    return tuple(found[name] for name in sorted(found))


def naming_selectors(
    policy: BoundPolicy, principal: Principal, key: TableKey, grant: BoundGrant
) -> tuple[PrincipalSelector, ...]:
    """Give the selectors by which a grant names the principal."""
    return tuple(
        selector
        for selector in selectors_of(principal)
        if selector in policy.grants and any(found is grant for found in _on(policy.grants[selector], key))
    )


def in_force(grants: Iterable[BoundGrant], at: datetime) -> tuple[BoundGrant, ...]:
    """Give the grants that have not ended."""
    return tuple(grant for grant in grants if grant.holds(at))


def selecting(grants: Iterable[BoundGrant]) -> tuple[BoundGrant, ...]:
    """Give the grants that let cells be read."""
    return tuple(grant for grant in grants if TablePermission.SELECT in grant.permissions)


def describing(grants: Iterable[BoundGrant]) -> tuple[BoundGrant, ...]:
    """Give the grants by which the table exists for the caller; SELECT brings DESCRIBE, RAW does not."""
    return tuple(grant for grant in grants if grant.permissions & {TablePermission.SELECT, TablePermission.DESCRIBE})


def granted_tables(policy: BoundPolicy, principal: Principal) -> tuple[BoundTable, ...]:
    """Give every table that some grant of the principal names, by full name."""
    found: set[TableKey] = set()
    databases: set[tuple[str, str]] = set()
    catalogs: set[str] = set()
    for selector in selectors_of(principal):
        of_selector = policy.grants.get(selector)
        if of_selector is not None:
            found |= of_selector.tables.keys()
            databases |= of_selector.databases.keys()
            catalogs |= of_selector.catalogs.keys()
    if databases or catalogs:
        found.update(key for key in policy.tables if key[0] in catalogs or key[:2] in databases)
    return tuple(policy.tables[key] for key in sorted(found))


def _on(grants: GrantsOfPrincipal, key: TableKey) -> Iterable[BoundGrant]:
    yield from grants.tables.get(key, ())
    yield from grants.databases.get(key[:2], ())
    yield from grants.catalogs.get(key[0], ())
