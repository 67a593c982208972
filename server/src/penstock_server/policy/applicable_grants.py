"""Step 1 of the decision: the grants that apply to a principal on a table, now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from penstock_server.model.principal import Group, Principal, PrincipalSelector
from penstock_server.model.resource import TablePermission
from penstock_server.policy.bound import (
    BoundGrant,
    BoundPolicy,
    BoundTable,
    Scope,
    TableKey,
    groups_among,
    own_selectors,
    selectors_of,
)
from penstock_server.policy.situation import Situation


def named_grants(policy: BoundPolicy, principal: Principal, key: TableKey) -> tuple[BoundGrant, ...]:
    """Give every grant that names the principal and the table, by name; those past their end too."""
    found = {grant.name: grant for _, grant in _naming(policy, principal, key)}
    return tuple(found[name] for name in sorted(found))


def naming_selectors(
    policy: BoundPolicy, principal: Principal, key: TableKey, grant: BoundGrant
) -> tuple[PrincipalSelector, ...]:
    """Give the selectors by which a grant names the principal: themselves, everyone, then groups by name."""
    found = {selector for selector, named in _naming(policy, principal, key) if named is grant}
    groups = sorted(selector for selector in found if isinstance(selector, Group))
    return (
        *(selector for selector in selectors_of(principal) if selector in found and selector not in groups),
        *groups,
    )


def in_force(grants: Iterable[BoundGrant], situation: Situation) -> tuple[BoundGrant, ...]:
    """Give the grants that have not ended and whose conditions are true."""
    return tuple(grant for grant in grants if situation.holds(grant))


def selecting(grants: Iterable[BoundGrant]) -> tuple[BoundGrant, ...]:
    """Give the grants that let cells be read."""
    return tuple(grant for grant in grants if TablePermission.SELECT in grant.permissions)


def describing(grants: Iterable[BoundGrant]) -> tuple[BoundGrant, ...]:
    """Give the grants by which the table exists for the caller; SELECT brings DESCRIBE, RAW does not."""
    return tuple(grant for grant in grants if grant.permissions & {TablePermission.SELECT, TablePermission.DESCRIBE})


def granted_tables(policy: BoundPolicy, principal: Principal) -> tuple[BoundTable, ...]:
    """Give every table that some grant of the principal names, by full name."""
    scopes: set[Scope] = set()
    for selector in selectors_of(principal):
        scopes |= policy.scopes.get(selector, frozenset())
    found: set[TableKey] = set()
    for scope in scopes:
        match scope:
            case (catalog, database, table):
                found.add((catalog, database, table))
            case _:
                found.update(key for key in policy.tables if key[: len(scope)] == scope)
    return tuple(policy.tables[key] for key in sorted(found))


def _naming(policy: BoundPolicy, principal: Principal, key: TableKey) -> Iterator[tuple[PrincipalSelector, BoundGrant]]:
    """Give the grants on the table, its database or its catalog that name the principal, each with the selector."""
    own = tuple(own_selectors(principal))
    for scope in (key, key[:2], key[:1]):
        named = policy.grants.get(scope)
        if named is None:
            continue
        mine = [selector for selector in own if selector in named]
        for selector in (*mine, *groups_among(named, principal)):
            for grant in named[selector]:
                yield selector, grant
