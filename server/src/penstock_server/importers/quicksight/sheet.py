"""The CSV of a rules dataset, as QuickSight takes it: rows with their identities and cells, nothing interpreted yet."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock_server.errors import ConfigurationError

MAX_BYTES: Final = 512 * 1024 * 1024
"""Largest CSV that is read."""

_NAMES: Final = ("UserName", "GroupName")
_ARNS: Final = ("UserARN", "GroupARN")
_LONGEST_FIELD: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetRow:
    """One row. `user` and `group` are "" where the cell is empty; `cells` are in the order of the fields."""

    place: str
    user: str
    group: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A rules dataset. Rows that are wholly empty are not in it: QuickSight skips them."""

    place: str
    by_arn: bool
    fields: tuple[str, ...]
    rows: tuple[SheetRow, ...]


def read_sheet(path: Path) -> Sheet:
    """Read a rules CSV.

    Raises:
        ConfigurationError: it cannot be read, or not in one way only.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        text = raw.decode("utf-8", "strict")
    except OSError as error:
        raise ConfigurationError((f"{path}: cannot be read: {error.strerror}",)) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError((f"{path}: is not UTF-8; save it as UTF-8",)) from error
    if len(raw) > MAX_BYTES:
        raise ConfigurationError((f"{path}: is larger than {MAX_BYTES} bytes",))
    if text.startswith("\ufeff"):
        raise ConfigurationError((f"{path}: starts with a byte order mark, which would rename the first column",))
    return _sheet(text, path.name)


def _sheet(text: str, source: str) -> Sheet:
    previous = csv.field_size_limit(_LONGEST_FIELD)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        lines = [(reader.line_num, line) for line in reader]
    except csv.Error as error:
        raise ConfigurationError((f"{source}: is no CSV: {error}",)) from error
    finally:
        csv.field_size_limit(previous)
    header = lines[0][1] if lines else []
    identities = _identities(header, source)
    fields = tuple(name for name in header if name not in identities)
    rows: list[SheetRow] = []
    for number, line in lines[1:]:
        if not any(line):
            continue
        if len(line) != len(header):
            raise ConfigurationError((f"{source}:{number}: has {len(line)} fields and the header {len(header)}",))
        cells = dict(zip(header, line, strict=True))
        user, group = (cells.get(name, "") for name in identities)
        rows.append(
            SheetRow(
                place=f"{source}:{number}",
                user=user,
                group=group,
                cells=tuple(cells[field] for field in fields),
            )
        )
    return Sheet(place=source, by_arn=identities is _ARNS, fields=fields, rows=tuple(rows))


def _identities(header: list[str], source: str) -> tuple[str, str]:
    folded = [name.casefold() for name in header]
    if not header or not all(header) or len(set(folded)) != len(folded):
        raise ConfigurationError((f"{source}:1: a column has no name, or two differ by case only or not at all",))
    found = [pair for pair in (_NAMES, _ARNS) if any(name in header for name in pair)]
    if len(found) != 1:
        raise ConfigurationError(
            (f"{source}:1: needs `UserName` and/or `GroupName`, or `UserARN` and/or `GroupARN`, and not both kinds",)
        )
    wrong = [name for name in header if name.casefold() in _FOLDED and name not in (*_NAMES, *_ARNS)]
    if wrong:
        raise ConfigurationError((f"{source}:1: `{wrong[0]}`: names are case-sensitive",))
    return found[0]


_FOLDED: Final = frozenset(name.casefold() for name in (*_NAMES, *_ARNS))
