from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from penstock_server.config.quantities import parse_duration, parse_size, print_duration, print_size


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("0s", 0), ("60s", 60), ("30m", 1800), ("1h", 3600), ("7d", 604800)]
)
def test_a_duration_is_a_whole_number_with_its_unit(text: str, seconds: float) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize(
    "text", ["", "60", "s", "1.5h", "-1s", "+1s", "1 h", " 1h", "1h ", "1H", "1h30m", "\u0661s", "1s\n"]
)
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["3651d", "999999999d"])
def test_a_duration_ends_at_ten_years(text: str) -> None:
    with pytest.raises(ValueError, match="longer than ten years"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"), [("0B", 0), ("4096B", 4096), ("1KiB", 1024), ("2GiB", 2**31), ("1MB", 10**6), ("1TiB", 2**40)]
)
def test_a_size_is_a_whole_number_with_its_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "2", "2G", "2gib", "2 GiB", "2.5GiB", "-1B", "25%", "\u0662GiB"])
def test_anything_else_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


def test_a_size_ends_at_a_pebibyte() -> None:
    with pytest.raises(ValueError, match="is over 1024TiB"):
        parse_size("1025TiB")


@given(st.integers(0, 10**9))
def test_what_is_printed_is_read_back(count: int) -> None:
    assert parse_size(print_size(count)) == count
    assert parse_duration(print_duration(timedelta(milliseconds=count))) == timedelta(milliseconds=count)
