"""Condition values with wildcards and variables.

`*` and `?` are wildcards under StringLike and the ARN operators; `${*}`, `${?}` and `${$}` are the characters. A
variable `${penstock:KEY}` stands for the key's value, `${penstock:KEY, 'text'}` for that text where the key is absent.
What a variable brings is literal: a tag whose value is `*` matches the character and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from penstock_server.policy.conditions.keys import Key, Kind, parse_key


class Wildcard(Enum):
    """A wildcard in a value."""

    ANY = "*"
    ONE = "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable; `default` None = no value where the key is absent."""

    key: Key
    default: str | None


Part = str | Wildcard | Variable
Resolved = tuple[str | Wildcard, ...]
"""A value with its variables put in: literal texts and wildcards."""

_VARIABLE: Final = re.compile(r"\$\{(?P<key>[^{},]+)(?:,\s*'(?P<default>[^']*)')?\}")
_ESCAPES: Final = {"${*}": "*", "${?}": "?", "${$}": "$"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One value of a condition; wildcards are there where `wildcards` was asked for, otherwise they are characters."""

    parts: tuple[Part, ...]

    def resolved(self, context: Mapping[str, tuple[str, ...]]) -> Resolved | None:
        """Put the variables in; None where one has no single value."""
        found: list[str | Wildcard] = []
        for part in self.parts:
            if not isinstance(part, Variable):
                found.append(part)
                continue
            values = context.get(part.key.name, ())
            if len(values) == 1:
                found.append(values[0])
            elif not values and part.default is not None:
                found.append(part.default)
            else:
                return None
        return tuple(found)


def parse_value(text: str, *, wildcards: bool) -> Value:
    """Read a value.

    Raises:
        ValueError: a `${` begins neither a variable nor an escape, or the variable names no key.
    """
    parts: list[Part] = []
    position = 0
    while position < len(text):
        if text.startswith("${", position):
            position = _variable(text, position, parts)
        elif wildcards and text[position] in "*?":
            parts.append(Wildcard(text[position]))
            position += 1
        else:
            parts.append(text[position])
            position += 1
    return Value(parts=_merged(parts))


def literal(resolved: Resolved) -> str | None:
    """Give the text of a value without wildcards; None where it has one."""
    texts = [part for part in resolved if isinstance(part, str)]
    return "".join(texts) if len(texts) == len(resolved) else None


def matches(resolved: Resolved, text: str) -> bool:
    """Tell whether a text fits a value with wildcards, in time proportional to their lengths."""
    tokens: list[str | Wildcard] = []
    for part in resolved:
        if isinstance(part, Wildcard):
            tokens.append(part)
        else:
            tokens.extend(part)
    # Greedy with one place to go back to: the last `*` may always take one character more.
    at = position = 0
    star, resume = -1, 0
    while position < len(text):
        if at < len(tokens) and (tokens[at] is Wildcard.ONE or tokens[at] == text[position]):
            at, position = at + 1, position + 1
        elif at < len(tokens) and tokens[at] is Wildcard.ANY:
            star, resume, at = at, position, at + 1
        elif star >= 0:
            resume += 1
            at, position = star + 1, resume
        else:
            return False
    return all(token is Wildcard.ANY for token in tokens[at:])


def split(resolved: Resolved, separator: str, limit: int) -> tuple[Resolved, ...]:
    """Split a value at the first `limit` separators of its literal text."""
    pieces: list[list[str | Wildcard]] = [[]]
    for part in resolved:
        if isinstance(part, Wildcard):
            pieces[-1].append(part)
            continue
        rest = part
        while separator in rest and len(pieces) <= limit:
            head, _, rest = rest.partition(separator)
            pieces[-1].append(head)
            pieces.append([])
        pieces[-1].append(rest)
    return tuple(tuple(part for part in piece if part != "") for piece in pieces)


def _variable(text: str, position: int, parts: list[Part]) -> int:
    escape = text[position : position + 4]
    if escape in _ESCAPES:
        parts.append(_ESCAPES[escape])
        return position + 4
    match = _VARIABLE.match(text, position)
    if match is None:
        raise ValueError("holds `${` that begins neither a variable nor an escape; write `${$}{` for the characters")
    try:
        key = parse_key(match["key"].strip())
    except ValueError as error:
        raise ValueError(f"holds a variable that {error}") from error
    if key.multivalued or key.kind is not Kind.TEXT:
        # INVARIANT: time passes in no variable, so that the keys of conditions tell until when they hold.
        raise ValueError(f"holds a variable of `{key}`, which has no single text")
    parts.append(Variable(key=key, default=match["default"]))
    return match.end()


def _merged(parts: list[Part]) -> tuple[Part, ...]:
    merged: list[Part] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    return tuple(merged)
