"""Which functions a caller's statement may call: a list of names, closed by default, in `functions.toml`.

This is the second line: the process that runs the statement holds no file, network or secret to begin with. The list
keeps what could reach past the tables, wait, or see the engine's own state from being tried at all.
"""

from __future__ import annotations

import fnmatch
import functools
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources

from penstock_server.model.resource import fold


class Verdict(StrEnum):
    """What becomes of a family."""

    ALLOWED = "allowed"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Functions that share a verdict. `kinds` are those of `duckdb_functions()`, and `special` for syntax alone.

    `reason` tells the caller why; it is "" for allowed ones. `patterns` (`collate_*`) only ever exclude.
    """

    name: str
    kinds: frozenset[str]
    verdict: Verdict
    reason: str
    names: frozenset[str]
    patterns: tuple[str, ...]

    def holds(self, name: str) -> bool:
        """Say whether this folded name belongs to the family."""
        return name in self.names or any(fnmatch.fnmatchcase(name, pattern) for pattern in self.patterns)


TABLE_KINDS = frozenset({"table", "table_macro", "pragma"})


@functools.cache
def families() -> tuple[Family, ...]:
    """Give the list as it stands in the package."""
    text = resources.files(__package__).joinpath("functions.toml").read_text(encoding="utf-8")
    return tuple(
        Family(
            name=entry["name"],
            kinds=frozenset(entry["kinds"]),
            verdict=Verdict(entry["verdict"]),
            reason=entry.get("reason", ""),
            names=frozenset(fold(name) for name in entry["names"]),
            patterns=tuple(entry.get("patterns", ())),
        )
        for entry in tomllib.loads(text)["family"]
    )


def is_allowed(name: str, *, table: bool = False) -> bool:
    """Say whether a function may be called by this folded name, in an expression or as a table."""
    return name in (_ALLOWED_TABLES if table else _ALLOWED)


def allowed_names(*, table: bool = False) -> list[str]:
    """Give all names that may be called, sorted."""
    return sorted(_ALLOWED_TABLES if table else _ALLOWED)


def reason(name: str) -> str | None:
    """Give why a function is excluded, or None where the list does not hold the name at all."""
    excluded = (family for family in families() if family.verdict is Verdict.EXCLUDED)
    return next((family.reason for family in excluded if family.holds(name)), None)


def _allowed(*, table: bool) -> frozenset[str]:
    return frozenset(
        name
        for family in families()
        if family.verdict is Verdict.ALLOWED and bool(family.kinds & TABLE_KINDS) is table
        for name in family.names
    )


# Read at import, so that the process that children are forked from has done it for them.
_ALLOWED = _allowed(table=False)
_ALLOWED_TABLES = _allowed(table=True)
