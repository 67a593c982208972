"""Dataclasses to compact JSON and back, strictly: what does not fit the declared types is an error.

Known types: `str`, `int`, `bool`, `float`, `Path`, `StrEnum`, frozen dataclasses, `X | None`, `tuple[X, ...]`,
`tuple[X, Y]` and `Constant`. A constant is a pair of tag and value, so that its Python type survives:
`["decimal", "1.20"]`.
"""

from __future__ import annotations

import dataclasses
import json
import types
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TypeVar, Union, cast, get_args, get_origin, get_type_hints

from penstock_server.engines.duckdb.wire.frames import BrokenConversation
from penstock_server.model.predicate import Constant

T = TypeVar("T")
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_CONSTANT_TYPES = frozenset(get_args(Constant))
_HINTS: dict[type, dict[str, object]] = {}


def encode(message: object) -> bytes:
    """Give the compact JSON of a dataclass, as UTF-8.

    Raises:
        TypeError: a field holds a type that has no form here: a mistake of ours.
    """
    return json.dumps(_write(message, type(message)), separators=(",", ":"), allow_nan=False).encode()


def decode(kind: type[T], payload: bytes) -> T:
    """Build a dataclass of this type from its JSON.

    Raises:
        BrokenConversation: the text is not JSON, or not of this shape.
    """
    try:
        return cast("T", _read(json.loads(payload), kind))
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise BrokenConversation(f"not a {kind.__name__}") from error


def _hints(kind: type) -> dict[str, object]:
    """Give field names and types; resolving them costs more than the rest, so each class is looked at once."""
    if kind not in _HINTS:
        hints = get_type_hints(kind)
        _HINTS[kind] = {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    return _HINTS[kind]


def _optional(kind: object) -> tuple[object, ...] | None:
    """Give the members of a union other than None, or None where the type is no union."""
    if get_origin(kind) not in (Union, types.UnionType):
        return None
    return tuple(member for member in get_args(kind) if member is not types.NoneType)


def _write(value: object, kind: object) -> Json:
    members = _optional(kind)
    if members is not None:
        return None if value is None else _write_member(value, members)
    if isinstance(value, tuple):
        return [_write(item, item_kind) for item, item_kind in zip(value, _items(kind, len(value)), strict=True)]
    if dataclasses.is_dataclass(value):
        return {name: _write(getattr(value, name), hint) for name, hint in _hints(type(value)).items()}
    if isinstance(value, StrEnum | Path):
        return str(value)
    if isinstance(value, str | int | bool | float):
        return value
    raise TypeError(f"{type(value).__name__} has no form on the wire")


def _write_member(value: object, members: tuple[object, ...]) -> Json:
    if len(members) == 1:
        return _write(value, members[0])
    if not _CONSTANT_TYPES.issuperset(members):
        raise TypeError("only a union with None or of constants has a form on the wire")
    match value:
        case bool() | int() | str():
            return [type(value).__name__, value]
        case float():
            return ["float", value.hex()]
        case Decimal():
            return ["decimal", str(value)]
        case datetime():
            return ["datetime", value.isoformat()]
        case date():
            return ["date", value.isoformat()]
        case _:
            raise TypeError(f"{type(value).__name__} is no constant")


def _read(value: Json, kind: object) -> object:
    members = _optional(kind)
    if members is not None:
        return _read_member(value, kind, members)
    if get_origin(kind) is tuple:
        items = _expect(value, list)
        return tuple(_read(item, item_kind) for item, item_kind in zip(items, _items(kind, len(items)), strict=True))
    if not isinstance(kind, type):
        raise TypeError("a declared type has no form on the wire")
    if dataclasses.is_dataclass(kind):
        given, hints = _expect(value, dict), _hints(kind)
        if given.keys() != hints.keys():
            raise ValueError("other fields than declared")
        return kind(**{name: _read(given[name], hint) for name, hint in hints.items()})
    if kind is Path or issubclass(kind, StrEnum):
        return kind(_expect(value, str))
    if kind in (str, int, bool, float):
        return _expect(value, kind)
    raise TypeError("a declared type has no form on the wire")


def _read_member(value: Json, kind: object, members: tuple[object, ...]) -> object:
    if value is None and types.NoneType in get_args(kind):
        return None
    return _read(value, members[0]) if len(members) == 1 else _read_constant(value)


def _read_constant(value: Json) -> Constant:
    tag, text = _expect(value, list)
    match tag:
        case "bool":
            return _expect(text, bool)
        case "int":
            return _expect(text, int)
        case "str":
            return _expect(text, str)
        case "float":
            return float.fromhex(_expect(text, str))
        case "decimal":
            return Decimal(_expect(text, str))
        case "datetime":
            return datetime.fromisoformat(_expect(text, str))
        case "date":
            return date.fromisoformat(_expect(text, str))
    raise ValueError("unknown tag of a constant")


def _items(kind: object, count: int) -> tuple[object, ...]:
    declared = get_args(kind)
    if len(declared) == 2 and declared[1] is Ellipsis:
        return (declared[0],) * count
    return declared


def _expect(value: object, kind: type[T]) -> T:
    if type(value) is not kind:  # not isinstance: True is an int there
        raise ValueError("another JSON type than declared")
    return value
