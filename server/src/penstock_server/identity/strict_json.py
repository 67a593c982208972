"""JSON as two parsers cannot disagree about it.

The standard parser takes the last of two equal members, `Infinity`, numbers of any length and lone surrogates.
Each lets a token mean one thing to its issuer and another to us, or ends in an exception far from here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import NoReturn, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = dict[str, Json]

MAX_DIGITS = 20

# A quote that opens no complete string matches alone, so a scan never starts twice over the same text.
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+"|["\[\]{}]', re.DOTALL)


class NotStrictJson(ValueError):
    """The text is not one JSON object that every parser reads alike; the message never quotes it."""


def parse_object(raw: bytes, *, max_depth: int) -> JsonObject:
    """Parse one JSON object of UTF-8 text.

    Raises:
        NotStrictJson: not UTF-8, not JSON, not an object, nested deeper than `max_depth`, a member twice, a number
            of more than 20 digits or not finite, or a lone surrogate.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise NotStrictJson("not UTF-8") from None
    _refuse_depth(text, max_depth)
    try:
        value: Json = json.loads(
            text,
            object_pairs_hook=_unique_members,
            parse_int=_bounded_integer,
            parse_float=_bounded_float,
            parse_constant=_no_constant,
        )
    except json.JSONDecodeError:
        raise NotStrictJson("not JSON") from None
    if not isinstance(value, dict):
        raise NotStrictJson("not an object")
    _refuse_surrogates(value)
    return value


def _refuse_depth(text: str, max_depth: int) -> None:
    # SECURITY: counted before the parser runs, which recurses once a level and can be driven out of its stack.
    depth = 0
    for match in _STRUCTURE.finditer(text):
        found = match[0]
        if found in {"[", "{"}:
            depth += 1
            if depth > max_depth:
                raise NotStrictJson("nested too deeply")
        elif found in {"]", "}"}:
            depth -= 1
        elif found == '"':
            raise NotStrictJson("not JSON")


def _unique_members(pairs: Iterable[tuple[str, Json]]) -> JsonObject:
    # SECURITY: with `sub` twice, the issuer's log and we could each believe another one.
    members: JsonObject = {}
    for name, value in pairs:
        if name in members:
            raise NotStrictJson("a member stands twice")
        members[name] = value
    return members


def _bounded_integer(text: str) -> int:
    if sum(map(str.isdigit, text)) > MAX_DIGITS:
        raise NotStrictJson("a number is too long")
    return int(text)


def _bounded_float(text: str) -> float:
    if sum(map(str.isdigit, text)) > MAX_DIGITS:
        raise NotStrictJson("a number is too long")
    number = float(text)
    if not math.isfinite(number):
        raise NotStrictJson("a number is not finite")
    return number


def _no_constant(name: str) -> NoReturn:
    del name
    raise NotStrictJson("a number is not finite")


def _refuse_surrogates(value: Json) -> None:
    pending: list[Json] = [value]
    while pending:
        match pending.pop():
            case str() as text if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
                raise NotStrictJson("a lone surrogate")
            case list() as items:
                pending.extend(items)
            case dict() as members:
                pending.extend(members.keys())
                pending.extend(members.values())
            case _:
                pass
