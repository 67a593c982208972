"""LF-tags: keys with the values that they may have, which resource has which, and expressions over them.

Source: AWS Lake Formation developer guide, "Lake Formation tag-based access control"; API, LFTagPair and
LFTagPolicyResource (botocore 1.44.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from penstock_server.config.document import Place
from penstock_server.policy.reading.fields import Text
from penstock_server.policy.table_patterns import TablePattern

ANY_VALUE: Final = "*"
"""Stands for any value of a key, which must be there; AWS: LFTag, TagValues."""

MAX_WRITTEN: Final = 20
"""Most values of a key that are written out for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagTerm:
    """A key with the values of which any will do; None = any value, but the key must be there."""

    key: str
    values: frozenset[str] | None

    def holds(self, tags: Mapping[str, str]) -> bool:
        """Tell whether tags have such a value."""
        value = tags.get(self.key)
        # SECURITY: `*` without the key is no match: what nobody has tagged is not open to everybody who may see all.
        return value is not None and (self.values is None or value in self.values)

    def __str__(self) -> str:
        if self.values is None:
            return f"`{self.key}` has any value"
        written = [f"`{value}`" for value in sorted(self.values)]
        more = [f"{len(written) - MAX_WRITTEN} more values"] if len(written) > MAX_WRITTEN else []
        return f"`{self.key}` is {' or '.join([*written[:MAX_WRITTEN], *more])}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TagExpression:
    """AND over keys, each of which has one of its values. INVARIANT: `terms` are by key and never empty."""

    terms: tuple[TagTerm, ...]

    def matches(self, tags: Mapping[str, str]) -> bool:
        """Tell whether the effective tags of something match."""
        # SECURITY: an AND over nothing would be everything.
        return bool(self.terms) and all(term.holds(tags) for term in self.terms)

    def __str__(self) -> str:
        return " and ".join(str(term) for term in self.terms)


@dataclass(frozen=True, slots=True, kw_only=True)
class TagAssignment:
    """One tag of a database (`resource.table` None), of a table, or of one of its columns. Never of a catalog."""

    place: Place
    resource: TablePattern
    resource_place: Place
    column: Text | None
    key: str
    value: str
