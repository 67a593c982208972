"""Policy files as values, printed in one place: every text in double quotes, so that nothing is taken for a number."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final

Value = str | bool | int | list["Value"] | tuple[tuple[str, "Value"], ...]
"""What a key may hold: a scalar, a list, or keys with values in the order in which they are printed."""

Mapping = tuple[tuple[str, Value], ...]
"""Keys with their values."""

_PLAIN_KEY: Final = re.compile(r"[a-z][a-z_]*", re.ASCII)
_RESERVED: Final = frozenset({"null", "true", "false"})
# JSON leaves these as they are; the reader of policy files refuses them raw.
_RAW_IN_JSON: Final = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def print_policy(entries: Mapping, *, comment: Sequence[str]) -> str:
    """Give the text of a policy file: lines of comment, then the entries in their order."""
    lines = [f"# {line}" for line in comment]
    lines += _mapping(entries, "")
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Give a text in double quotes, as YAML 1.2 reads it."""
    return _RAW_IN_JSON.sub(lambda match: f"\\u{ord(match.group()):04x}", json.dumps(text, ensure_ascii=False))


def _mapping(entries: Mapping, indent: str) -> Iterator[str]:
    for key, value in entries:
        name = key if _PLAIN_KEY.fullmatch(key) and key not in _RESERVED else quoted(key)
        if isinstance(value, str | int) or _is_flat(value):
            yield f"{indent}{name}: {_flat(value)}"
        elif isinstance(value, list):
            yield f"{indent}{name}:"
            yield from _list(value, indent + "  ")
        else:
            yield f"{indent}{name}:"
            yield from _mapping(value, indent + "  ")


def _list(items: list[Value], indent: str) -> Iterator[str]:
    for item in items:
        if isinstance(item, tuple):
            lines = list(_mapping(item, indent + "  "))
            yield f"{indent}- {lines[0].lstrip()}"
            yield from lines[1:]
        else:
            yield f"{indent}- {_flat(item)}"


def _is_flat(value: Value) -> bool:
    return isinstance(value, list) and all(isinstance(item, str | int) for item in value)


def _flat(value: Value) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return "[" + ", ".join(_flat(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
