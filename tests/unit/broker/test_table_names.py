import time

import pytest
from penstock_server.broker.table_names import matches, parse_table_name, validate_pattern
from penstock_server.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("lake.nyc.flights", ("lake", "nyc", "flights")),
        ("nyc.flights", ("nyc", "flights")),
        ("flights", ("flights",)),
        ('lake."my.db"."a""b"', ("lake", "my.db", 'a"b')),
        ("Lake.NYC.Flights", ("Lake", "NYC", "Flights")),
        ("lake.nyc.straße", ("lake", "nyc", "straße")),
        (" nyc.flights ", (" nyc", "flights ")),
    ],
)
def test_a_name_is_split_into_its_parts(text: str, parts: tuple[str, ...]) -> None:
    assert parse_table_name("name", text) == parts


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "a.b.c.d", '"a', '"a"b.c', 'a"b', '""', "a" * 1_025, '"a".']
)
def test_what_is_no_name_is_refused_with_the_field(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_table_name("tables[3]", text)
    assert refused.value.fields[0].field == "tables[3]"


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("", True),
        ("*", True),
        ("lake.nyc.flights", True),
        ("LAKE.*.FLIGHTS", True),
        ("lake.nyc.f*s", True),
        ("lake.nyc.flight?", True),
        ("*flight*", True),
        ("**", True),
        ("lake.nyc.flights?", False),
        ("nyc.flights", False),
        ("lake.nyc.[f]lights", False),
        ("?", False),
        ("lake.nyc.flight", False),
        ("*x", False),
    ],
)
def test_a_pattern_fits_whole_names_by_star_and_question_mark_only(pattern: str, fits: bool) -> None:
    assert matches(pattern, "lake.nyc.flights") is fits


def test_a_hostile_pattern_is_matched_in_no_time() -> None:
    started = time.perf_counter()
    assert not matches("*a" * 127 + "*b", "a" * 1_000)
    assert time.perf_counter() - started < 2


def test_a_long_pattern_is_refused() -> None:
    validate_pattern("*" * 256)
    with pytest.raises(InvalidRequest):
        validate_pattern("*" * 257)
