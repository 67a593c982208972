"""Names and texts as DuckDB reads them. Everything that we print goes through here."""

from __future__ import annotations


def quoted(name: str) -> str:
    """Quote a name.

    Raises:
        ValueError: it is empty, holds NUL or is no Unicode text: no such name exists in a catalog.
    """
    if not name:
        raise ValueError("an empty name")
    return '"' + _checked(name).replace('"', '""') + '"'


def text_literal(text: str) -> str:
    r"""Print a text constant; a backslash stands for itself.

    Raises:
        ValueError: it holds NUL or is no Unicode text.
    """
    return "'" + _checked(text).replace("'", "''") + "'"


def _checked(text: str) -> str:
    if "\x00" in text:
        raise ValueError("NUL within a name or text")
    text.encode("utf-8")
    return text
