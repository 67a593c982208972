"""The path of a cell as one text: the name of its column, and for a field of a struct the names that lead to it.

The path of a column is its name; that of a field is the column's name and, each after a NUL, those of the fields.
INVARIANT: no name holds NUL (inspection refuses one), so equal paths are one cell, and a column whose name holds a dot
is never taken for a field.
"""

from __future__ import annotations

import re
from typing import Final

_BETWEEN: Final = "\0"
_PART: Final = re.compile(r'"(?P<quoted>(?:[^"\0]|"")+)"|(?P<bare>[^".\0]+)')


def field_path(parent: str, name: str) -> str:
    """Give the path of a field of the struct at `parent`."""
    return f"{parent}{_BETWEEN}{name}"


def path_parts(path: str) -> list[str]:
    """Give the names of a path: that of the column first."""
    return path.split(_BETWEEN)


def joined_path(parts: tuple[str, ...]) -> str:
    """Give the path of which these are the names."""
    return _BETWEEN.join(parts)


def is_field(path: str) -> bool:
    """Tell whether a path leads to a field and not to a column."""
    return _BETWEEN in path


def is_within(path: str, other: str) -> bool:
    """Tell whether a path leads to a field of what the other one leads to."""
    return path.startswith(f"{other}{_BETWEEN}")


def written_path(path: str) -> str:
    """Write a path as a policy does: fields behind dots, a name with a dot or a quote in double quotes."""
    parts = path_parts(path)
    if len(parts) == 1:
        return path
    return ".".join(f'"{part.replace(chr(34), chr(34) * 2)}"' if "." in part or '"' in part else part for part in parts)


def parse_path(text: str) -> tuple[str, ...] | None:
    """Read names with dots between them, each bare or in double quotes; None where the text is not so written."""
    parts: list[str] = []
    position = 0
    while match := _PART.match(text, position):
        quoted = match["quoted"]
        parts.append(match["bare"] if quoted is None else quoted.replace('""', '"'))
        position = match.end()
        if position == len(text):
            return tuple(parts)
        if text[position] != ".":
            return None
        position += 1
    return None
