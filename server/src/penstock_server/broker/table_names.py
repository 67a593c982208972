"""Table names and patterns as callers write them."""

from __future__ import annotations

import re

from penstock_server.errors import InvalidRequest
from penstock_server.model.resource import fold

MAX_NAME_CHARACTERS = 1_024
MAX_PATTERN_CHARACTERS = 256

_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')


def parse_table_name(field: str, text: str) -> tuple[str, ...]:
    """Split `catalog.database.table` or `database.table`; a part with a dot or a quote stands in double quotes.

    Raises:
        InvalidRequest: it is no such name, or has more than 1,024 characters.
    """
    if len(text) > MAX_NAME_CHARACTERS:
        raise InvalidRequest(field, f"at most {MAX_NAME_CHARACTERS:,} characters")
    parts: list[str] = []
    position = 0
    while match := _PART.match(text, position):
        quoted, plain = match.groups()
        parts.append(plain if quoted is None else quoted.replace('""', '"'))
        position = match.end()
        if position == len(text):
            break
        if text[position] != ".":
            raise _not_a_name(field)
        position += 1
    if position != len(text) or text.endswith(".") or not 1 <= len(parts) <= 3:
        raise _not_a_name(field)
    return tuple(parts)


def validate_pattern(pattern: str) -> None:
    """Bound a pattern. Raises InvalidRequest."""
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise InvalidRequest("pattern", f"at most {MAX_PATTERN_CHARACTERS} characters")


def matches(pattern: str, name: str) -> bool:
    """Tell whether a full name fits a pattern with `*` and `?`, ASCII case-insensitively; "" fits all.

    SECURITY: takes at most len(pattern) * len(name) steps; a regular expression made from `*a*a*a*b` would take for
    ever (test_a_hostile_pattern_is_matched_in_no_time).
    """
    if not pattern:
        return True
    wanted, text = fold(pattern), fold(name)
    place = at = mark = 0
    star = -1
    while at < len(text):
        if place < len(wanted) and wanted[place] == "*":
            star, mark = place, at
            place += 1
        elif place < len(wanted) and wanted[place] in ("?", text[at]):
            place += 1
            at += 1
        elif star >= 0:
            place, mark = star + 1, mark + 1
            at = mark
        else:
            return False
    return all(character == "*" for character in wanted[place:])


def _not_a_name(field: str) -> InvalidRequest:
    return InvalidRequest(field, "`catalog.database.table` or `database.table`")
