"""From Python values to the parameters of a statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

from google.protobuf.timestamp_pb2 import Timestamp

from penstock.errors import invalid
from penstock.v1 import query_service_pb2

Parameter = str | int | float | bool | Decimal | date | datetime | None
"""A value of a statement's parameter. A datetime has a time zone; None is NULL."""

Parameters = Sequence[Parameter] | Mapping[str, Parameter]
"""The values of a statement's parameters: of `$1`, `$2`, ... or `?` in order, or of `$name` by name."""

_INT64 = range(-(2**63), 2**63)


def pack(parameters: Parameters) -> list[query_service_pb2.ParameterValue]:
    """Pack the values of `$1`, `$2`, ... or `?`, in order, or those of `$name`.

    Raises:
        InvalidRequest: a value has a type, or a size, that the contract does not carry without loss.
    """
    if isinstance(parameters, str):
        raise invalid("parameters", "is a list of values, not one text")
    if isinstance(parameters, Mapping):
        return [_named(name, value) for name, value in parameters.items()]
    return [_pack(f"parameters[{index}]", value) for index, value in enumerate(parameters)]


def _named(name: str, value: Parameter) -> query_service_pb2.ParameterValue:
    if not name or not isinstance(name, str):
        raise invalid("parameters", "has a name for each value, such as `region`")
    message = _pack(f"parameters[{name}]", value)
    message.name = _text("parameters", name.removeprefix("$"))
    return message


def _pack(field: str, value: object) -> query_service_pb2.ParameterValue:
    # Order matters: bool is an int, and datetime is a date.
    match value:
        case None:
            return query_service_pb2.ParameterValue()
        case bool():
            return query_service_pb2.ParameterValue(boolean_value=value)
        case str():
            return query_service_pb2.ParameterValue(string_value=_text(field, value))
        case int():
            return _integer(field, value)
        case float():
            return query_service_pb2.ParameterValue(double_value=value)
        case Decimal():
            return _decimal(field, value)
        case datetime():
            return _instant(field, value)
        case date():
            return query_service_pb2.ParameterValue(date_value=value.isoformat())
        case _:
            kind = type(value).__name__
            raise invalid(field, f"is text, a number, a boolean, a date, an instant or None, not `{kind}`")


def _text(field: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise invalid(field, "is valid Unicode text, without lone surrogates") from error
    return value


def _integer(field: str, value: int) -> query_service_pb2.ParameterValue:
    if value not in _INT64:
        raise invalid(field, "is a whole number of 64 bits; larger ones are passed as Decimal")
    return query_service_pb2.ParameterValue(integer_value=value)


def _decimal(field: str, value: Decimal) -> query_service_pb2.ParameterValue:
    if not value.is_finite():
        raise invalid(field, "is a finite decimal")
    return query_service_pb2.ParameterValue(decimal_value=format(value, "f"))


def _instant(field: str, value: datetime) -> query_service_pb2.ParameterValue:
    if value.tzinfo is None:
        raise invalid(field, "is a datetime with a time zone")
    message = Timestamp()
    message.FromDatetime(value.astimezone(UTC))
    return query_service_pb2.ParameterValue(timestamp_value=message)
