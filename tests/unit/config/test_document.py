from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from penstock_server.config import document
from penstock_server.config.document import ListNode, MapNode, Node, ScalarNode, parse, read
from penstock_server.errors import ConfigurationError

FILE = Path("policy.yaml")

GUESSES = [
    *("NO", "no", "yes", "on", "off", "y", "n", "nUll", "TrUe", "nan", "inf"),
    *("12:30", "190:20:30", "2027-01-01", "2027-01-01T00:00:00Z"),
    *("1_000", "0b11", "1,000", "1.2.3", "+.5e", "0o8", "-0x1f", "="),
]


def scalar(text: str) -> object:
    node = parse(f"key: {text}\n", FILE)
    assert isinstance(node, MapNode)
    value = node.node("key")
    assert isinstance(value, ScalarNode)
    return value.value


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, FILE)
    return caught.value.problems


@pytest.mark.parametrize("text", GUESSES)
def test_what_yaml_1_1_would_guess_is_text(text: str) -> None:
    assert scalar(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("FALSE", False),
        ("0", 0),
        ("010", 10),
        ("-7", -7),
        ("0o17", 15),
        ("0x1F", 31),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("-.INF", -math.inf),
        ('"1"', "1"),
        ("'true'", "true"),
        ('""', ""),
        ('"\\u2028"', "\u2028"),
        ("user:alice", "user:alice"),
    ],
)
def test_plain_scalars_follow_the_core_schema(text: str, value: object) -> None:
    found = scalar(text)
    assert (type(found), found) == (type(value), value)


def test_every_node_and_key_knows_its_line_and_column() -> None:
    node = parse("a: 1\nlist:\n  - x\n  - {b: y}\n", FILE)
    assert isinstance(node, MapNode)
    entry = node.entry("list")
    assert entry is not None
    assert (entry.place.line, entry.place.column) == (2, 1)
    assert isinstance(entry.node, ListNode)
    inner = entry.node.items[1]
    assert isinstance(inner, MapNode)
    assert str(inner.entries[0].place) == "policy.yaml:4"
    assert (inner.entries[0].node.place.line, inner.entries[0].node.place.column) == (4, 9)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", "policy.yaml:3: duplicate key `a`, which stands in line 1 already; remove one"),
        ("a: 1\n'a': 2\n", "policy.yaml:2: duplicate key `a`, which stands in line 1 already; remove one"),
        ("x: {a: 1, a: 2}\n", "policy.yaml:1: duplicate key `a`, which stands in line 1 already; remove one"),
        ("a: &x 1\n", "policy.yaml:1: `&x`: anchors are not accepted; write the value where it is needed"),
        ("a: *x\n", "policy.yaml:1: `*x`: aliases are not accepted; write the value out"),
        ("<<: {a: 1}\n", "policy.yaml:1: `<<`: merge keys are not accepted; write the keys out"),
        ("a: !!python/none x\n", "policy.yaml:1: `tag:yaml.org,2002:python/none`: tags are not accepted; remove it"),
        ("a: !x {b: 1}\n", "policy.yaml:1: `!x`: tags are not accepted; remove it"),
        ("a: ! x\n", "policy.yaml:1: `!`: tags are not accepted; remove it"),
        ("a: 1\n---\nb: 2\n", "policy.yaml:2: holds several documents; one file is one document"),
        ("%YAML 1.1\n---\na: 1\n", "policy.yaml:1: holds a YAML directive; remove the lines that start with `%`"),
        ("1: a\n", "policy.yaml:1: the key `1` is not text; quote it"),
        ("null: a\n", "policy.yaml:1: the key `null` is not text; quote it"),
        ("? [a]\n: b\n", "policy.yaml:1: has a list or mapping as a key; a key is text"),
        ("", "policy.yaml:1: is empty"),
        ("# nothing\n", "policy.yaml:1: is empty"),
        ("a: 1e999\n", "policy.yaml:1: holds a number out of range"),
        (f"a: {'9' * 5000}\n", "policy.yaml:1: holds a number that is too long"),
        ("a:\n - b\n\tc\n", "policy.yaml:3: is not valid YAML: a tab stands where blanks must; indent by blanks"),
        ("a: [1\n", "policy.yaml:2: is not valid YAML: did not find expected ',' or ']'"),
        ("[\n" * 41, "policy.yaml:41: is nested deeper than 40 levels"),
    ],
)  # fmt: skip
def test_what_hides_a_files_meaning_is_refused(text: str, problem: str) -> None:
    assert problem in problems(text)


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\ufeff", "\ufffe"])
def test_characters_that_an_editor_hides_are_refused_with_their_line(character: str) -> None:
    (problem,) = problems(f'a: 1\nb: "x{character}y"\n')
    assert problem.startswith(f"policy.yaml:2: holds the character U+{ord(character):04X}")


def test_all_structural_problems_are_reported_at_once() -> None:
    lines = [problem.split(": ")[0] for problem in problems("a: 1\na: 2\nb: &x 1\nc: !!str x\n")]
    assert lines == ["policy.yaml:2", "policy.yaml:3", "policy.yaml:4"]


def test_a_hundred_thousand_levels_are_refused_without_recursion() -> None:
    assert problems("[" * 100_000) == ("policy.yaml:1: is nested deeper than 40 levels",)


def test_a_byte_order_mark_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    with pytest.raises(ConfigurationError, match=":1: starts with a byte order mark"):
        read(path)


@pytest.mark.parametrize("raw", [b"a: 1\nb: \xff\n", b"a: 1\nb: \xed\xa0\x80\n", b"a: 1\nb: \xc0\xaf\n"])
def test_bytes_that_are_not_utf_8_are_refused_with_their_line(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(raw)
    with pytest.raises(ConfigurationError, match=":2: is not UTF-8"):
        read(path)


def test_a_file_past_the_size_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_BYTES", 10)
    path = tmp_path / "a.yaml"
    path.write_text("a: 1234567")
    assert isinstance(read(path), MapNode)
    path.write_text("a: 12345678")
    with pytest.raises(ConfigurationError, match="is larger than 10 bytes"):
        read(path)


def test_a_missing_file_a_folder_and_a_pipe_are_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read(tmp_path / "absent.yaml")
    for name in (".", "pipe"):
        with pytest.raises(ConfigurationError, match="is not a regular file"):
            read(tmp_path / name)


def plain(node: Node) -> object:
    if isinstance(node, MapNode):
        return {entry.key: plain(entry.node) for entry in node.entries}
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return node.value


words = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Cn"), exclude_characters="\ufeff"), max_size=12
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(words, values, min_size=1, max_size=4), st.booleans())
def test_json_is_read_as_the_same_values(value: dict[str, object], indented: bool) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=2 if indented else None)
    assert plain(parse(text, FILE)) == value


@pytest.mark.parametrize("text", ["a: [1, {b: c}]\nd: |\n  x\n   y\ne: >-\n  f\n  g\n", "- a\n-\n  - b\n- 'c'\n"])
def test_both_parsers_of_pyyaml_give_the_same_nodes(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = parse(text, FILE)
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    assert plain(parse(text, FILE)) == plain(fast)
