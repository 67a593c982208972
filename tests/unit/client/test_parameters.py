from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from penstock.errors import InvalidRequest
from penstock.parameters import Parameter, pack


@pytest.mark.parametrize(
    ("value", "kind", "packed"),
    [
        ("text", "string_value", "text"),
        ("", "string_value", ""),
        (True, "boolean_value", True),
        (False, "boolean_value", False),
        (0, "integer_value", 0),
        (2**63 - 1, "integer_value", 2**63 - 1),
        (-(2**63), "integer_value", -(2**63)),
        (1.5, "double_value", 1.5),
        (Decimal("12.50"), "decimal_value", "12.50"),
        (Decimal("1E+3"), "decimal_value", "1000"),
        (Decimal("1E-7"), "decimal_value", "0.0000001"),
        (date(2013, 1, 2), "date_value", "2013-01-02"),
    ],
)
def test_each_type_has_its_own_field(value: Parameter, kind: str, packed: object) -> None:
    [message] = pack([value])

    assert message.WhichOneof("kind") == kind
    assert getattr(message, kind) == packed


def test_none_is_null() -> None:
    [message] = pack([None])

    assert message.WhichOneof("kind") is None


def test_an_instant_keeps_its_microseconds_and_loses_its_zone() -> None:
    value = datetime(2013, 1, 1, 10, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))

    [message] = pack([value])

    assert message.timestamp_value.ToDatetime(tzinfo=UTC) == value


BAD: dict[str, object] = {
    "a naive datetime": datetime(2013, 1, 1),  # noqa: DTZ001 - what is refused
    "a whole number over 64 bits": 2**63,
    "one below": -(2**63) - 1,
    "a decimal that is not finite": Decimal("NaN"),
    "a lone surrogate": "\ud800",
    "bytes": b"x",
    "a list": [1],
    "a span": timedelta(1),
}


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
def test_a_value_that_would_not_arrive_unchanged_is_refused(value: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        pack([1, value])  # type: ignore[list-item]  # what is refused

    assert caught.value.field == "parameters[1]"


def test_one_text_is_no_list_of_parameters() -> None:
    with pytest.raises(InvalidRequest) as caught:
        pack("abc")

    assert caught.value.field == "parameters"


def test_values_by_name_carry_it() -> None:
    packed = pack({"region": "north", "$least": 2})
    assert [(message.name, message.WhichOneof("kind")) for message in packed] == [
        ("region", "string_value"),
        ("least", "integer_value"),
    ]
    assert [message.name for message in pack(["north"])] == [""]


@pytest.mark.parametrize("name", ["", "\ud800"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        pack({name: 1})
