"""Single values as text and as JSON; used by the formats that are text."""

from __future__ import annotations

import json
import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa


def texts(column: pa.Array) -> list[str | None]:
    """Give each value of a column as text, None for NULL. Nested values are JSON, bytes are hex digits."""
    if is_plain(column.type):
        found: list[str | None] = column.cast(pa.string()).to_pylist()
        return found
    return [None if value is None else _text(value) for value in column.to_pylist()]


def is_plain(kind: pa.DataType) -> bool:
    """Tell whether Arrow itself prints the values of a type, exactly."""
    predicates = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_decimal,
        pa.types.is_boolean,
        pa.types.is_date,
        pa.types.is_time,
        pa.types.is_timestamp,
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_null,
    )
    return any(predicate(kind) for predicate in predicates)


def json_text(value: Any) -> str:  # noqa: ANN401 - whatever a column may hold
    """Give a value as JSON. Decimals keep their digits; what JSON has no number for is text, bytes are hex."""
    match value:
        case None | bool() | int() | str():
            return json.dumps(value, ensure_ascii=False)
        case float():
            return repr(value) if math.isfinite(value) else f'"{value}"'
        case Decimal():
            return format(value, "f") if value.is_finite() else f'"{value}"'
        case list() | tuple():
            return f"[{', '.join(json_text(each) for each in value)}]"
        case dict():
            members = (f"{json_text(str(name))}: {json_text(each)}" for name, each in value.items())
            return f"{{{', '.join(members)}}}"
        case _:
            return json.dumps(_text(value), ensure_ascii=False)


def _text(value: Any) -> str:  # noqa: ANN401 - whatever a column may hold
    match value:
        case bytes():
            return value.hex()
        case list() | tuple() | dict():
            return json_text(value)
        case datetime() | date() | time():
            return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
        case timedelta() | UUID() | Decimal():
            return str(value)
        case _:
            return str(value)
