"""What is printed reads back as what was meant, whatever names AWS allows."""

from __future__ import annotations

from pathlib import Path

import pytest
from penstock_server.config.document import ListNode, MapNode, Node, ScalarNode, read
from penstock_server.importers.policy_text import Mapping, Value, print_policy


def value_of(node: Node) -> Value:
    match node:
        case ScalarNode(value=value):
            assert isinstance(value, str | int)
            return value
        case ListNode(items=items):
            return [value_of(item) for item in items]
        case MapNode(entries=entries):
            return tuple((entry.key, value_of(entry.node)) for entry in entries)


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "NO",
        "0o14",
        "1e3",
        "null",
        "2027-01-01",
        "<<",
        "a: b # c",
        "'\"\\",
        "line\nbreak\ttab",
        "\x7f\x85\u2028\ufeff\x00",
        "\N{GRINNING FACE}é",
        "*x",
        "&x",
        "!x",
        "- x",
        "{}",
    ],
)
def test_every_text_reads_back_as_itself_as_key_and_as_value(tmp_path: Path, text: str) -> None:
    grant: Mapping = (("name", text), ("principals", [text, "x"]), ("columns", (("include", [text]),)))
    entries: Mapping = (("version", 1), ("filters", ((text, (("rows", text),)),)), ("grants", [grant]))
    path = tmp_path / "policy.yaml"
    path.write_text(print_policy(entries, comment=("a comment",)), encoding="utf-8")
    assert value_of(read(path)) == entries
