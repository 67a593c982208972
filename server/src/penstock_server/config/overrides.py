"""Settings from outside the file: `PENSTOCK__SECTION__KEY` variables and flags, laid over the nodes of the file.

An override becomes a node whose place is the variable or the flag, so every later check of the file holds for it too,
and an unknown variable is reported like an unknown key. Precedence: flags, environment, file, defaults.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from penstock_server.config.document import Entry, ListNode, MapNode, Node, Place, Scalar, ScalarNode, resolve
from penstock_server.config.reading import Problems

PREFIX: Final = "PENSTOCK__"

_VARIABLE: Final = re.compile(r"[A-Z0-9_]+", re.ASCII)

_FREE_NAMES: Final = (
    re.compile(r"catalogs"),
    re.compile(r"credentials\.aws\.roles"),
    re.compile(r"credentials\.redshift"),
    re.compile(r"identity\.issuers\.[0-9]+\.(attribute_claims|required_claims)"),
)
"""Mappings whose keys are chosen by the operator: an override changes what the file names, and adds no name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One value for one key; `source` is how messages call it: the variable or the flag."""

    path: tuple[str, ...]
    value: str
    source: str


def environment_overrides(environ: Mapping[str, str], problems: Problems) -> tuple[Override, ...]:
    """Give an override for each `PENSTOCK__...` variable, in the order of their names."""
    found = []
    for name in sorted(environ):
        if not name.startswith(PREFIX):
            continue
        path = tuple(name.removeprefix(PREFIX).lower().split("__"))
        if _VARIABLE.fullmatch(name) is None or not all(path):
            problems.add(_place(name), "names no key; write PENSTOCK__SECTION__KEY in upper case")
            continue
        found.append(Override(path=path, value=environ[name], source=name))
    return tuple(found)


def apply(root: Node, overrides: Iterable[Override], problems: Problems) -> Node:
    """Lay the overrides over the nodes of a file, the later over the earlier."""
    for override in overrides:
        root = _set(root, override, 0, problems)
    return root


def _set(node: Node, override: Override, depth: int, problems: Problems) -> Node:
    place = _place(override.source)
    if depth == len(override.path):
        if isinstance(node, ScalarNode):
            return ScalarNode(value=_value(override, problems), text=override.value, place=place)
        kind = "list; set its items by index" if isinstance(node, ListNode) else "mapping; set one of its keys"
        problems.add(place, f"`{_name(override, depth)}` is a {kind}")
        return node
    if isinstance(node, ListNode):
        return _set_item(node, override, depth, problems)
    if isinstance(node, MapNode):
        return _set_entry(node, override, depth, problems)
    problems.add(place, f"`{_name(override, depth)}` has no keys")
    return node


def _set_item(node: ListNode, override: Override, depth: int, problems: Problems) -> Node:
    segment = override.path[depth]
    index = int(segment) if re.fullmatch(r"[0-9]{1,4}", segment) else None
    if index is None or index > len(node.items):
        free = f"from 0 to {len(node.items)}"
        problems.add(_place(override.source), f"`{_name(override, depth)}` is a list; give an index {free}")
        return node
    items = list(node.items)
    if index == len(items):
        items.append(_blank(override, depth + 1))
    items[index] = _set(items[index], override, depth + 1, problems)
    return replace(node, items=tuple(items))


def _set_entry(node: MapNode, override: Override, depth: int, problems: Problems) -> Node:
    place = _place(override.source)
    segment = override.path[depth]
    # Variables are upper-case, so a name that the operator chose is found without regard to case.
    matching = [entry for entry in node.entries if entry.key.lower() == segment]
    if len(matching) > 1:
        problems.add(place, f"`{_name(override, depth + 1)}` matches several names of the file; change it there")
        return node
    if matching:
        changed = replace(
            matching[0],
            place=place,
            node=_set(_present(matching[0].node, override, depth), override, depth + 1, problems),
        )
        return replace(node, entries=tuple(changed if entry is matching[0] else entry for entry in node.entries))
    if any(pattern.fullmatch(".".join(override.path[:depth])) for pattern in _FREE_NAMES):
        name = _name(override, depth)
        problems.add(place, f"`{name}` has no `{segment}` in the file; names are added in the file only")
        return node
    added = _set(_blank(override, depth + 1), override, depth + 1, problems)
    return replace(node, entries=(*node.entries, Entry(key=segment, place=place, node=added)))


def _present(node: Node, override: Override, depth: int) -> Node:
    """Give the node itself, or an empty container where the file says null and the override goes further down."""
    if isinstance(node, ScalarNode) and node.value is None:
        return _blank(override, depth + 1)
    return node


def _blank(override: Override, depth: int) -> Node:
    """Give what an absent key starts from: a list where an index comes next, else a mapping, else a value."""
    place = _place(override.source)
    if depth == len(override.path):
        return ScalarNode(value=None, text="", place=place)
    if override.path[depth].isdecimal():
        return ListNode(items=(), place=place)
    return MapNode(entries=(), place=place)


def _value(override: Override, problems: Problems) -> Scalar:
    try:
        return resolve(override.value)
    except ValueError as error:
        problems.add(_place(override.source), f"holds {error}")
        return None


def _name(override: Override, depth: int) -> str:
    return ".".join(override.path[:depth]) or "the file"


def _place(source: str) -> Place:
    return Place(source=source, line=0, column=0)
