"""The JSON Schemas for editors follow the readers, take what these take, and refuse what a schema can see is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from penstock_server.config.document import ListNode, Node, ScalarNode, parse
from penstock_server.errors import ConfigurationError
from support.configuration import SECTIONS
from support.documents import ROOT, Block, all_blocks
from support.editor_schemas.documents import SCHEMAS, printed
from support.random_policies import random_world

VECTORS = ROOT / "tests" / "vectors"
POLICY, CONFIGURATION = (Draft7Validator(json.loads(path.read_text(encoding="utf-8"))) for path in SCHEMAS)
SEEN_BY_A_SCHEMA = re.compile(
    r": (unknown key .*|.* needs `\w+`|.* has no place in .*|`\S+` is no permission here; .*"
    r"|`\w+` must be (a text; it is empty|a list, such as .*|a whole number .*|true or false)"
    r"|`\w+` (is an empty list; name at least one|must hold keys with values))$"
)
"""Problems of a policy that show in the keys of one entry, or in the form of one value."""


def _value(node: Node) -> Any:
    match node:
        case ScalarNode():
            return node.value
        case ListNode():
            return [_value(item) for item in node.items]
        case _:
            return {entry.key: _value(entry.node) for entry in node.entries}


def _accepts(schema: Draft7Validator, text: str) -> bool:
    return bool(schema.is_valid(_value(parse(text, Path("file.yaml")))))


def _blocks(kind: str) -> list[Block]:
    return [one for one in all_blocks() if (one.language, one.kind) == ("yaml", kind)]


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_the_schemas_are_those_of_the_readers(path: Path) -> None:
    schema = SCHEMAS[path]()
    Draft7Validator.check_schema(schema)
    assert path.read_text(encoding="utf-8") == printed(schema), "run `make schema` and commit docs/*.schema.json"


@pytest.mark.parametrize("block", _blocks("policy"), ids=lambda block: block.place)
def test_the_policies_of_the_documents_are_accepted(block: Block) -> None:
    assert _accepts(POLICY, block.text)


@pytest.mark.parametrize("block", _blocks("configuration"), ids=lambda block: block.place)
def test_the_configurations_of_the_documents_are_accepted(block: Block) -> None:
    assert _accepts(CONFIGURATION, block.text)


def test_no_policy_that_loads_is_refused() -> None:
    texts = [case["policy"] for case in yaml.safe_load((VECTORS / "policy" / "decisions.yaml").read_text())]
    worlds = [random_world(Random(f"schema {number}")) for number in range(100)]
    texts += [text for world in worlds for name, text in world.files.items() if name.endswith(".yaml")]
    refused = [text for text in texts if not _accepts(POLICY, text)]
    assert refused == []
    assert len(texts) > 300


def test_what_a_schema_can_see_in_a_wrong_policy_is_refused() -> None:
    cases = yaml.safe_load((VECTORS / "policy" / "load_errors.yaml").read_text())
    visible = [case for case in cases if any(SEEN_BY_A_SCHEMA.search(problem) for problem in case["problems"])]
    accepted = [case["id"] for case in visible if _parses(case["policy"]) and _accepts(POLICY, case["policy"])]
    # YAML knows no difference between `builtin: null`, which is a mask, and nothing after `builtin:`.
    assert accepted == ["mask-builtin-empty"]
    assert len(visible) > 50


def test_what_a_schema_can_see_in_a_wrong_configuration_is_refused() -> None:
    cases = yaml.safe_load((VECTORS / "config" / "rejections.yaml").read_text())
    visible = [
        case
        for case in cases
        if re.search(
            r"unknown key|available in this version; remove|is missing$|must be (text|true or|one of)", case["problem"]
        )
    ]
    for case in visible:
        text = "".join({**SECTIONS, case["section"]: case["text"]}.values())
        assert not _parses(text) or not _accepts(CONFIGURATION, text), case["id"]
    assert len(visible) > 10
    assert _accepts(CONFIGURATION, "".join(SECTIONS.values()))


def _parses(text: str) -> bool:
    try:
        parse(text, Path("file.yaml"))
    except ConfigurationError:
        return False
    return True
