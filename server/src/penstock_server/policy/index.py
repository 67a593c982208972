"""Indexes grants by principal and table, so that a decision costs what applies to the caller and no more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

from penstock_server.model.principal import PrincipalSelector
from penstock_server.policy.bound import BoundGrant, Scope


class _Granted(Protocol):
    """What names principals."""

    @property
    def principals(self) -> tuple[PrincipalSelector, ...]: ...


G = TypeVar("G", bound=_Granted)


class GrantIndex:
    """Collects bound grants on tables."""

    def __init__(self) -> None:
        self._grants: defaultdict[Scope, defaultdict[PrincipalSelector, list[BoundGrant]]] = defaultdict(
            lambda: defaultdict(list)
        )

    def add(self, principals: Iterable[PrincipalSelector], scope: Scope, grant: BoundGrant) -> None:
        """Add a grant on a table, or one that restricts nothing on all tables of a database or catalog."""
        for selector in principals:
            self._grants[scope][selector].append(grant)

    def grants(self) -> Mapping[Scope, Mapping[PrincipalSelector, tuple[BoundGrant, ...]]]:
        """Give the grants by what they are on, then by whom they name."""
        return {
            scope: {selector: tuple(grants) for selector, grants in named.items()}
            for scope, named in self._grants.items()
        }

    def scopes(self) -> Mapping[PrincipalSelector, frozenset[Scope]]:
        """Give what each selector has grants on."""
        found: defaultdict[PrincipalSelector, set[Scope]] = defaultdict(set)
        for scope, named in self._grants.items():
            for selector in named:
                found[selector].add(scope)
        return {selector: frozenset(scopes) for selector, scopes in found.items()}


def by_selector(grants: Iterable[G]) -> Mapping[PrincipalSelector, tuple[G, ...]]:
    """Index grants by each principal that they name."""
    found: defaultdict[PrincipalSelector, list[G]] = defaultdict(list)
    for grant in grants:
        for selector in grant.principals:
            found[selector].append(grant)
    return {selector: tuple(named) for selector, named in found.items()}
