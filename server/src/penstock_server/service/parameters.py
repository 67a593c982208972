"""The values of a statement's parameters, from messages to constants."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date
from decimal import Decimal, InvalidOperation

from penstock.v1 import query_service_pb2 as messages

from penstock_server.errors import InvalidRequest
from penstock_server.model.predicate import Constant
from penstock_server.service.packing import instant

_MAX_DECIMAL_CHARACTERS = 64


def parameters(values: Iterable[messages.ParameterValue]) -> tuple[Constant | None, ...]:
    """Give the values in order; None is NULL. Raises InvalidRequest: a text is no value of its kind."""
    return tuple(_parameter(number, value) for number, value in enumerate(values))


def names(values: Iterable[messages.ParameterValue]) -> tuple[str, ...]:
    """Give the names of the values in order; none where no value has one. Who takes them requires all or none."""
    found = tuple(value.name for value in values)
    return found if any(found) else ()


def _parameter(number: int, value: messages.ParameterValue) -> Constant | None:
    field = f"parameters[{number}]"
    match value.WhichOneof("kind"):
        case None:
            return None
        case "string_value":
            return value.string_value
        case "integer_value":
            return value.integer_value
        case "double_value":
            return value.double_value
        case "boolean_value":
            return value.boolean_value
        case "decimal_value":
            return _decimal(field, value.decimal_value)
        case "date_value":
            return _date(field, value.date_value)
        case "timestamp_value":
            return instant(field, value.timestamp_value)


def _decimal(field: str, text: str) -> Decimal:
    try:
        number = Decimal(text) if len(text) <= _MAX_DECIMAL_CHARACTERS and text.isascii() else Decimal("nan")
    except InvalidOperation:
        number = Decimal("nan")
    if not math.isfinite(number):
        raise InvalidRequest(field, "a decimal number such as `12.50`, at most 64 characters")
    return number


def _date(field: str, text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # Python also reads `20130101` and `2013-W01-1`.
    if day is None or day.isoformat() != text:
        raise InvalidRequest(field, "a date as `YYYY-MM-DD`")
    return day
