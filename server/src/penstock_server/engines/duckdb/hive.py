"""Partitions as Hive lays them out: folders named `key=value` between a table and its files.

The keys are columns behind those of the files. Their types are pinned when a catalog is inspected, by a reading that
is stricter than the engine's: only what is written plainly is a number or a date.

Source: https://duckdb.org/docs/stable/data/partitioning/hive_partitioning
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import PurePath
from typing import Final
from urllib.parse import unquote

DEFAULT: Final = "__HIVE_DEFAULT_PARTITION__"
"""The value that stands for NULL."""

_INTEGER: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Partitions:
    """The keys below the folder of a table, outermost first, and which values each takes, decoded, without NULL."""

    root: PurePath
    keys: tuple[str, ...]
    values: tuple[frozenset[str], ...]

    def types(self) -> tuple[str, ...]:
        """Give the narrowest of BIGINT, DATE and VARCHAR that holds the values of each key."""
        return tuple(next(kind for kind in ("BIGINT", "DATE", "VARCHAR") if fit(found, kind)) for found in self.values)


def partitions(root: PurePath, files: Iterable[PurePath]) -> Partitions | None:
    """Read the folders between a table and its files; None where there are none.

    Raises:
        ValueError: they are not the same keys for every file, or not of the form `key=value`.
    """
    pairs = [tuple(_pair(name) for name in file.relative_to(root).parent.parts) for file in files]
    keys = {tuple(key for key, _ in found) for found in pairs}
    if len(keys) != 1:
        raise ValueError("not all files lie below folders of the same keys")
    (only,) = keys
    if not only:
        return None
    if len({key.casefold() for key in only}) != len(only):
        raise ValueError("a key stands twice on the way to a file")
    # SECURITY: the engine reads keys from the whole path, so one above the table would be a column too.
    if any("=" in part for part in root.parts):
        raise ValueError("a folder above the table has `=` in its name and would be taken for a partition")
    listed = tuple(frozenset(found[index][1] for found in pairs) - {DEFAULT} for index in range(len(only)))
    return Partitions(root=root, keys=only, values=listed)


def fit(values: Iterable[str], kind: str) -> bool:
    """Tell whether every value is plainly one of a type: BIGINT, DATE or VARCHAR."""
    match kind:
        case "BIGINT":
            return all(_INTEGER.fullmatch(value) for value in values)
        case "DATE":
            return all(_DATE.fullmatch(value) and _is_day(value) for value in values)
        case _:
            return kind == "VARCHAR"


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _pair(folder: str) -> tuple[str, str]:
    key, equals, value = folder.partition("=")
    if not equals or not key or not value or "=" in value or "%" in key:
        raise ValueError(f"`{folder}` is no partition; write `key=value`")
    return key, unquote(value)
