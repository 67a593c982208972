from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import typer
from penstock.cli.quantities import parameter, parameters_of, span


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("1h", 3600), ("500ms", 0.5), ("1.5h", 5400)]
)
def test_a_span_has_a_unit_or_is_in_seconds(text: str, seconds: float) -> None:
    assert span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "h", "-1h", "1d", "1 h x", "1e3", "٣s", "9" * 400])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        span(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("JFK", "JFK"),
        ("", ""),
        ("42", 42),
        ("-42", -42),
        ("0", 0),
        ("007", "007"),
        ("+1", "+1"),
        ("12.50", Decimal("12.50")),
        ("1.", "1."),
        ("1e3", "1e3"),
        ("true", True),
        ("True", "True"),
        ("null", None),
        ('"42"', "42"),
        ('"null"', "null"),
        ('"', '"'),
        ('"a" or "b"', '"a" or "b"'),
        ("text:42", "42"),
        ("text:date:x", "date:x"),
        ("integer:7", 7),
        ("double:1e3", 1000.0),
        ("decimal:1", Decimal(1)),
        ("boolean:false", False),
        ("date:2013-01-31", date(2013, 1, 31)),
        ("timestamp:2013-01-31T10:00:00Z", datetime(2013, 1, 31, 10, tzinfo=UTC)),
        ("http://x", "http://x"),
    ],
)
def test_a_parameter_is_what_it_looks_like_or_what_it_says(text: str, value: object) -> None:
    found = parameter(text)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    ["integer:x", "double:", "decimal:1,5", "boolean:yes", "date:2013-02-30", "timestamp:2013-01-31 10:00"],
)
def test_a_value_that_is_not_of_its_type_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parameter(text)


def test_parameters_stand_in_order_or_under_their_names() -> None:
    assert parameters_of(["42", "a", "text:a=b"]) == [42, "a", "a=b"]
    assert parameters_of(["region=north", "$least=12.50", "note=a=b"]) == {
        "region": "north",
        "least": Decimal("12.50"),
        "note": "a=b",
    }
    assert parameters_of(['"a=b"', "==", "2=3"]) == ["a=b", "==", "2=3"]


@pytest.mark.parametrize("texts", [["a=1", "2"], ["a=1", "a=2"], ["x", "a=1"]])
def test_parameters_of_which_some_have_a_name_are_refused(texts: list[str]) -> None:
    with pytest.raises(typer.BadParameter, match="either every value has a name"):
        parameters_of(texts)
