"""The list of what holds a hidden cell back: every entry is switched off somewhere, and every switch is on the list."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

TESTS = Path(__file__).parents[2]
LISTED: dict[str, list[tuple[str, str]]] = {
    name: [(file, weakness) for file, weakness in entries]
    for name, entries in yaml.safe_load((TESTS / "vectors/query/protections.yaml").read_text()).items()
}
NAMED = (
    *("process boundary", "scrub", "canonical order and chunks", "pinned types", "ENUM as text", "conjunct rule"),
    *("function list", "read-only", "lock", "external access", "Landlock", "network", "kill", "key of extracts"),
    "invalidation",
)
"""Those without which the query door is none."""


@pytest.mark.parametrize("name", LISTED)
def test_it_is_switched_off_where_the_list_says(name: str) -> None:
    assert LISTED[name]
    for file, weakness in LISTED[name]:
        text = (TESTS / file).read_text()
        assert re.search(rf'"{re.escape(weakness)}"|def {re.escape(weakness)}\(', text), (file, weakness)


def test_the_list_holds_what_the_door_stands_on() -> None:
    assert [name for name in NAMED if name not in LISTED] == []


def test_every_protection_that_is_switched_off_is_on_the_list() -> None:
    listed = {weakness for entries in LISTED.values() for _, weakness in entries}
    found = {
        name
        for file in Path(__file__).parent.glob("test_protections*.py")
        for name in re.findall(r'Protection\(\s*name="([^"]+)"', file.read_text())
    }
    assert len(found) > 35
    # These share their attack with one that is listed, or hold it together with another.
    together = {"functions are on a list and the plan is looked at", "nothing is measured"}
    assert found - listed - together == set()
