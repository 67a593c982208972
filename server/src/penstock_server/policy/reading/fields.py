"""Reads the keys of one mapping of a policy file: typed, and every key either known or refused.

INVARIANT: a key that is present but empty is a problem, never "absent": `rows:` without a value would mean all rows.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from penstock_server.config.document import ListNode, MapNode, Node, Place, ScalarNode
from penstock_server.config.quantities import parse_duration
from penstock_server.policy.problems import NOT_AVAILABLE, Problems

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text of a file and where it stands."""

    value: str
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys of one kind of mapping, such as a grant: `what` names the kind.

    `elsewhere` are keys of the format that go with another kind of entry, with the reason; `unavailable` are those
    that this version lacks.
    """

    what: str
    known: frozenset[str]
    unavailable: frozenset[str]
    elsewhere: tuple[tuple[frozenset[str], str], ...] = ()


class Fields:
    """One mapping. A method notes a problem and gives None where a value is missing or wrong."""

    def __init__(self, node: MapNode, keys: Keys, problems: Problems) -> None:
        self._node = node
        self._keys = keys
        self._problems = problems
        for entry in node.entries:
            self._check_key(entry.key, entry.place)

    @property
    def place(self) -> Place:
        """Where the mapping begins."""
        return self._node.place

    def has(self, key: str) -> bool:
        """Tell whether the key is there, whatever stands under it."""
        return self._node.entry(key) is not None

    def place_of(self, key: str) -> Place:
        """Give the place of a key, or of the mapping where the key is missing."""
        entry = self._node.entry(key)
        return self._node.place if entry is None else entry.place

    def node(self, key: str) -> Node | None:
        """Give what stands under a key that must be there."""
        node = self._node.node(key)
        if node is None:
            self._problems.add(self._node.place, f"{self._keys.what} needs `{key}`")
        return node

    def text(self, key: str) -> Text | None:
        """Read a text that must be there: one line, not empty."""
        node = self.node(key)
        return None if node is None else text_of(node, key, self._problems)

    def expression(self, key: str) -> Text | None:
        """Read an expression that must be there; it may have several lines.

        SECURITY: YAML drops what follows ` #`, and `rows: a = 1 # AND b = 2` would show more than it seems to.
        """
        node = self.node(key)
        if isinstance(node, ScalarNode) and node.commented:
            self._problems.add(
                node.place, f"`{key}` ends at a `#`, which begins a comment; put the expression in quotes"
            )
            return None
        return None if node is None else text_of(node, key, self._problems, lines=True)

    def texts(self, key: str) -> tuple[Text, ...] | None:
        """Read a list of at least one text, none of them twice."""
        node = self.node(key)
        return None if node is None else texts_of(node, key, self._problems)

    def mapping(self, key: str) -> MapNode | None:
        """Read a mapping with at least one key."""
        node = self.node(key)
        if node is None:
            return None
        if not isinstance(node, MapNode) or not node.entries:
            self._problems.add(node.place, f"`{key}` must hold keys with values")
            return None
        return node

    def parsed(self, key: str, parse: Callable[[str], T]) -> T | None:
        """Read a text with a parser that raises ValueError with what is wrong."""
        text = self.text(key)
        if text is None:
            return None
        try:
            return parse(text.value)
        except ValueError as error:
            self._problems.add(text.place, f"`{key}`: `{text.value}` {error}")
            return None

    def instant(self, key: str) -> datetime | None:
        """Read an instant with a zone; gives it in UTC."""
        return self.parsed(key, parse_instant)

    def duration(self, key: str) -> timedelta | None:
        """Read a duration such as `30m`."""
        return self.parsed(key, parse_duration)

    def _check_key(self, key: str, place: Place) -> None:
        if key in self._keys.known:
            return
        if key in self._keys.unavailable:
            self._problems.add(place, f"`{key}` in {self._keys.what} is {NOT_AVAILABLE}")
            return
        for names, why in self._keys.elsewhere:
            if key in names:
                self._problems.add(place, f"`{key}` has no place in {self._keys.what}: {why}")
                return
        known = ", ".join(f"`{name}`" for name in sorted(self._keys.known))
        self._problems.add(place, f"unknown key `{key}` in {self._keys.what}; it may hold {known}")


def text_of(node: Node, key: str, problems: Problems, *, lines: bool = False) -> Text | None:
    """Read a text that is not empty; `lines` allows line breaks and tabs."""
    if not isinstance(node, ScalarNode):
        problems.add(node.place, f"`{key}` must be a text")
        return None
    if not isinstance(node.value, str):
        hint = "it is empty" if node.text == "" else f"put `{node.text}` in quotes if it is meant as text"
        problems.add(node.place, f"`{key}` must be a text; {hint}")
        return None
    allowed = "\n\r\t" if lines else ""
    if any(unicodedata.category(c) in {"Cc", "Cs"} and c not in allowed for c in node.value):
        problems.add(node.place, f"`{key}` holds a control character or half a character; remove it")
        return None
    if not node.value.strip():
        problems.add(node.place, f"`{key}` is empty; give it a value or remove the key")
        return None
    return Text(value=node.value, place=node.place)


def texts_of(node: Node, key: str, problems: Problems) -> tuple[Text, ...] | None:
    """Read a list of at least one text, none of them twice."""
    if not isinstance(node, ListNode):
        problems.add(node.place, f"`{key}` must be a list, such as `[...]`")
        return None
    if not node.items:
        problems.add(node.place, f"`{key}` is an empty list; name at least one")
        return None
    found: list[Text] = []
    seen: set[str] = set()
    for item in node.items:
        text = text_of(item, key, problems)
        if text is None:
            return None
        if text.value in seen:
            problems.add(text.place, f"`{key}` names `{text.value}` twice; remove one")
            return None
        seen.add(text.value)
        found.append(text)
    return tuple(found)


def parse_instant(text: str) -> datetime:
    """Read an instant with a zone, in UTC. Raises ValueError: what is written shows no time or no zone."""
    # datetime.fromisoformat takes a bare date and many shorter forms; what is written must show its time and zone.
    if len(text) >= len("2027-01-01T00:00:00Z") and text[10] == "T":
        try:
            instant = datetime.fromisoformat(text)
            if instant.tzinfo is not None:
                return instant.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise ValueError("is not an instant with a zone; write one such as 2027-01-01T00:00:00Z")
