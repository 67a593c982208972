"""Indexes grants by principal and table, so that a decision costs what applies to the caller and no more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

from penstock_server.model.principal import PrincipalSelector
from penstock_server.model.resource import fold
from penstock_server.policy.bound import BoundGrant, GrantsOfPrincipal, TableKey
from penstock_server.policy.table_patterns import TablePattern


class _Granted(Protocol):
    """What names principals."""

    @property
    def principals(self) -> tuple[PrincipalSelector, ...]: ...


G = TypeVar("G", bound=_Granted)


class GrantIndex:
    """Collects bound grants on tables."""

    def __init__(self) -> None:
        self._building: defaultdict[PrincipalSelector, _Building] = defaultdict(_Building)

    def add_table(self, principals: Iterable[PrincipalSelector], key: TableKey, grant: BoundGrant) -> None:
        """Add a grant on one table."""
        for selector in principals:
            self._building[selector].tables[key].append(grant)

    def add_wildcard(self, principals: Iterable[PrincipalSelector], pattern: TablePattern, grant: BoundGrant) -> None:
        """Add a grant that restricts nothing, on all tables of a database or catalog."""
        catalog = fold(pattern.catalog)
        for selector in principals:
            building = self._building[selector]
            if pattern.database is None:
                building.catalogs[catalog].append(grant)
            else:
                building.databases[catalog, fold(pattern.database)].append(grant)

    def finish(self) -> Mapping[PrincipalSelector, GrantsOfPrincipal]:
        """Give the index."""
        return {
            selector: GrantsOfPrincipal(
                tables={key: tuple(grants) for key, grants in building.tables.items()},
                databases={key: tuple(grants) for key, grants in building.databases.items()},
                catalogs={key: tuple(grants) for key, grants in building.catalogs.items()},
            )
            for selector, building in self._building.items()
        }


class _Building:
    """Grants of one selector, while they are collected."""

    def __init__(self) -> None:
        self.tables: defaultdict[TableKey, list[BoundGrant]] = defaultdict(list)
        self.databases: defaultdict[tuple[str, str], list[BoundGrant]] = defaultdict(list)
        self.catalogs: defaultdict[str, list[BoundGrant]] = defaultdict(list)


def by_selector(grants: Iterable[G]) -> Mapping[PrincipalSelector, tuple[G, ...]]:
    """Index grants by each principal that they name."""
    found: defaultdict[PrincipalSelector, list[G]] = defaultdict(list)
    for grant in grants:
        for selector in grant.principals:
            found[selector].append(grant)
    return {selector: tuple(named) for selector, named in found.items()}
