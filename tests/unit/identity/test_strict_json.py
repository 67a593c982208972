from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from penstock_server.identity.strict_json import NotStrictJson, parse_object

NAMES = st.text(st.characters(codec="utf-8"), max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20) + 1, 10**20 - 1)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: sum(map(str.isdigit, repr(x))) <= 20)
    | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.booleans())
def test_what_a_serializer_writes_is_read_back_as_it_was(value: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert parse_object(text.encode(), max_depth=40) == value


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,\\ u0dE+-.eNaInf1"', max_size=40).map(str.encode))
def test_any_bytes_are_read_like_the_standard_parser_reads_them_or_refused(raw: bytes) -> None:
    try:
        value = parse_object(raw, max_depth=16)
    except NotStrictJson:
        return
    assert value == json.loads(raw.decode())


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '{"a":{"b":1,"b":2}}',
        '{"a":[{"b":1,"\\u0062":2}]}',
        '{"a":NaN}',
        '{"a":[-Infinity]}',
        '{"a":1e400}',
        '{"a":123456789012345678901}',
        '{"a":0.12345678901234567890123}',
        '{"a":"\\ud800"}',
        '{"\\udfff":1}',
        '{"a":"\\ud800\\ud800"}',
        '{"a":"\x01"}',
        '{"a":01}',
        '{"a":+1}',
        '{"a":1.}',
        "{a:1}",
        '{"a":1}{"b":2}',
        '{"a":1}\x00',
        '"a"',
        "[{}]",
        "",
    ],
)
def test_json_that_two_parsers_may_read_differently_is_refused(text: str) -> None:
    with pytest.raises(NotStrictJson):
        parse_object(text.encode(), max_depth=8)


@pytest.mark.parametrize("raw", [b'{"a":"\xff"}', b'\xef\xbb\xbf{"a":1}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xc0\xaf"}'])
def test_text_that_is_no_plain_utf8_is_refused(raw: bytes) -> None:
    with pytest.raises(NotStrictJson):
        parse_object(raw, max_depth=8)


def test_depth_is_counted_outside_strings_only() -> None:
    parse_object(b'{"[[[[": "\\"[[[[{{{{\\\\", "b": [[{}]]}', max_depth=4)
    for text in ('{"b": [[{}]]}', '{"\\\\": [[{}]]}', '{"\\"": [[{}]]}'):
        with pytest.raises(NotStrictJson, match="nested too deeply"):
            parse_object(text.encode(), max_depth=3)


def test_a_string_without_end_is_refused_in_no_time() -> None:
    """Each escaped quote could open a string that runs to the end: half a mebibyte would take hours."""
    started = time.process_time()
    with pytest.raises(NotStrictJson):
        parse_object(b'{"a": "' + b'\\"' * 250_000, max_depth=8)
    assert time.process_time() - started < 5


def test_numbers_of_twenty_digits_are_numbers() -> None:
    assert parse_object(b'{"a": -12345678901234567890}', max_depth=1) == {"a": -12345678901234567890}
    number = parse_object(b'{"a": 1.5e3}', max_depth=1)["a"]
    assert isinstance(number, float)
    assert math.isclose(number, 1500)
