"""Typed reading of nodes, for configuration and policy files alike: every problem is collected, none is guessed away.

A reader never raises for what a file says: it records the problem and gives a stand-in (`""`, `0`, an empty mapping),
so that one run shows all of them. INVARIANT: whoever reads calls `Problems.raise_if_any()` before a value is used.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Final, TypeVar

from penstock_server.config.document import Entry, ListNode, MapNode, Node, Place, ScalarNode
from penstock_server.config.quantities import parse_duration, parse_size, print_duration, print_size
from penstock_server.errors import ConfigurationError

E = TypeVar("E", bound=StrEnum)

_MAX_SHOWN: Final = 80


class Problems:
    """Collects problems with their places, to be raised together in the order of the file."""

    def __init__(self) -> None:
        self._found: list[tuple[Place, str]] = []

    def add(self, place: Place, what: str) -> None:
        """Record `PLACE: what is wrong, why; how to mend it`."""
        if (place, what) not in self._found:
            self._found.append((place, what))

    def raise_if_any(self) -> None:
        """Raise what was found.

        Raises:
            ConfigurationError: there is a problem.
        """
        if self._found:
            ordered = sorted(self._found, key=lambda problem: problem[0])
            raise ConfigurationError(tuple(f"{place}: {what}" for place, what in ordered))


def suggestion(name: str, candidates: Iterable[str]) -> str:
    """Give `; did you mean `X`?`, or "" where nothing is near. Give it only names that the reader may see."""
    near = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.6)
    return f"; did you mean `{near[0]}`?" if near else ""


def shown(text: str) -> str:
    """Quote a text of the file for a message: at most 80 characters, control characters escaped."""
    escaped = "".join(
        character if unicodedata.category(character) != "Cc" else repr(character)[1:-1] for character in text
    )
    return f"`{escaped if len(escaped) <= _MAX_SHOWN else escaped[:_MAX_SHOWN] + '...'}`"


class MapReader:
    """Reads one mapping whose keys are fixed.

    `name` is how messages call it (`identity.issuers[0]`), "" for the file itself. Keys outside `known` are problems
    at once; those in `unavailable` are told apart as "not available in this version". A node that is no mapping is a
    problem too, and reads as an empty one. A key whose value is null counts as absent.
    """

    def __init__(
        self,
        node: Node | None,
        problems: Problems,
        *,
        name: str,
        known: Iterable[str],
        unavailable: Iterable[str] = (),
        place: Place | None = None,
    ) -> None:
        """Give `place` where `node` may be None: the place that a missing key is reported at."""
        self.name = name
        self.problems = problems
        self._known = frozenset(known)
        self._map = node if isinstance(node, MapNode) else None
        fallback = Place(source="", line=0, column=0)
        self.place: Place = node.place if node is not None else (place or fallback)
        if node is not None and self._map is None:
            problems.add(node.place, f"`{name or 'the file'}` must be a mapping")
        self._check_keys(frozenset(unavailable))

    def _check_keys(self, unavailable: frozenset[str]) -> None:
        for entry in self.entries():
            if entry.key in unavailable:
                self.problems.add(entry.place, f"`{self.path(entry.key)}` is not available in this version; remove it")
            elif entry.key not in self._known:
                near = suggestion(entry.key, self._known)
                self.problems.add(entry.place, f"unknown key {shown(self.path(entry.key))}{near}")

    def path(self, key: str) -> str:
        """Give the name of a key as messages show it."""
        return f"{self.name}.{key}" if self.name else key

    def entries(self) -> tuple[Entry, ...]:
        """Give all entries in their order."""
        return self._map.entries if self._map is not None else ()

    def place_of(self, key: str) -> Place:
        """Give the place of a key, or of the mapping where the key is absent."""
        entry = self._map.entry(key) if self._map is not None else None
        return entry.place if entry is not None else self.place

    def node(self, key: str) -> Node | None:
        """Give what stands under a key; None where it is absent or null."""
        node = self._map.node(key) if self._map is not None else None
        return None if isinstance(node, ScalarNode) and node.value is None else node

    def required(self, key: str) -> Node | None:
        """Give what stands under a key; its absence is a problem."""
        node = self.node(key)
        if node is None:
            self.problems.add(self.place_of(key), f"`{self.path(key)}` is missing")
        return node

    def complain(self, key: str, what: str) -> None:
        """Record that the value of a key `what` (`must be ...`)."""
        self.problems.add(self.place_of(key), f"`{self.path(key)}` {what}")

    # --- single values -------------------------------------------------------------------------------------------

    def text(self, key: str, *, empty: bool = False) -> str | None:
        """Give a text without line breaks and other control characters; None where it is absent."""
        node = self.node(key)
        return None if node is None else read_text(node, self.problems, name=self.path(key), empty=empty)

    def required_text(self, key: str) -> str:
        """Give a text that must be there."""
        self.required(key)
        return self.text(key) or ""

    def boolean(self, key: str, *, default: bool) -> bool:
        """Give true or false."""
        node = self.node(key)
        if node is None:
            return default
        if isinstance(node, ScalarNode) and isinstance(node.value, bool):
            return node.value
        self.complain(key, "must be true or false")
        return default

    def integer(self, key: str, *, minimum: int, maximum: int) -> int | None:
        """Give a whole number within its bounds, ends included; None where it is absent."""
        node = self.node(key)
        if node is None:
            return None
        value = node.value if isinstance(node, ScalarNode) else None
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
            self.complain(key, f"must be a whole number from {minimum} to {maximum}")
            return None
        return value

    def duration(self, key: str, *, minimum: timedelta, maximum: timedelta) -> timedelta | None:
        """Give a duration within its bounds, ends included; None where it is absent."""
        written = self.text(key)
        if written is None:
            return None
        try:
            value = parse_duration(written)
        except ValueError as error:
            self.complain(key, f"{shown(written)} {error}")
            return None
        if not minimum <= value <= maximum:
            self.complain(key, f"must be from {print_duration(minimum)} to {print_duration(maximum)}")
            return None
        return value

    def size(self, key: str, *, minimum: int, maximum: int) -> int | None:
        """Give a size in bytes within its bounds, ends included; None where it is absent."""
        written = self.text(key)
        if written is None:
            return None
        try:
            value = parse_size(written)
        except ValueError as error:
            self.complain(key, f"{shown(written)} {error}")
            return None
        if not minimum <= value <= maximum:
            self.complain(key, f"must be from {print_size(minimum)} to {print_size(maximum)}")
            return None
        return value

    def choice(self, key: str, choices: type[E], *, unavailable: Iterable[str] = ()) -> E | None:
        """Give a member of a closed set by its value; None where it is absent. `unavailable` ones come later."""
        written = self.text(key)
        if written is None:
            return None
        if written in frozenset(unavailable):
            self.complain(key, f"{shown(written)} is not available in this version")
            return None
        if written in {member.value for member in choices}:
            return choices(written)
        words = ", ".join(f"`{member.value}`" for member in choices)
        near = suggestion(written, [member.value for member in choices])
        self.complain(key, f"must be one of {words}, not {shown(written)}{near}")
        return None

    # --- several values ------------------------------------------------------------------------------------------

    def items(self, key: str) -> tuple[Node, ...]:
        """Give the nodes of a list; () where it is absent."""
        node = self.node(key)
        if node is None:
            return ()
        if isinstance(node, ListNode):
            return node.items
        self.complain(key, "must be a list")
        return ()

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Give a list of distinct, non-empty texts; None where it is absent."""
        return None if self.node(key) is None else tuple(text for text, _ in self.placed_texts(key))

    def placed_texts(self, key: str) -> tuple[tuple[str, Place], ...]:
        """Give a list of distinct, non-empty texts, each with its place; () where it is absent."""
        found: dict[str, Place] = {}
        for index, node in enumerate(self.items(key)):
            text = read_text(node, self.problems, name=f"{self.path(key)}[{index}]")
            if text in found:
                self.problems.add(node.place, f"`{self.path(key)}` holds {shown(text)} twice; remove one")
            found.setdefault(text, node.place)
        return tuple(found.items())

    def text_pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """Give a mapping of free names to texts, sorted by name; () where it is absent."""
        pairs = [
            (entry.key, read_text(entry.node, self.problems, name=f"{self.path(key)}.{entry.key}"))
            for entry in self.named(key)
        ]
        return tuple(sorted(pairs))

    def named(self, key: str) -> tuple[Entry, ...]:
        """Give the entries of a mapping whose keys are free names; () where it is absent."""
        node = self.node(key)
        if node is None:
            return ()
        if isinstance(node, MapNode):
            return node.entries
        self.complain(key, "must be a mapping")
        return ()

    def map(self, key: str, *, known: Iterable[str], unavailable: Iterable[str] = ()) -> MapReader | None:
        """Give a reader of the mapping under a key; None where it is absent."""
        node = self.node(key)
        if node is None:
            return None
        return MapReader(node, self.problems, name=self.path(key), known=known, unavailable=unavailable)

    def section(self, key: str, *, known: Iterable[str], unavailable: Iterable[str] = ()) -> MapReader:
        """Give a reader of the mapping under a key, or of an empty one where it is absent."""
        return MapReader(
            self.node(key),
            self.problems,
            name=self.path(key),
            known=known,
            unavailable=unavailable,
            place=self.place_of(key),
        )

    def maps(self, key: str, *, known: Iterable[str], unavailable: Iterable[str] = ()) -> tuple[MapReader, ...]:
        """Give a reader for each mapping of a list; () where it is absent."""
        return tuple(
            MapReader(node, self.problems, name=f"{self.path(key)}[{index}]", known=known, unavailable=unavailable)
            for index, node in enumerate(self.items(key))
        )


def read_text(node: Node, problems: Problems, *, name: str, empty: bool = False) -> str:
    """Give the text of a node, or "" and a problem: it is not text, empty, or holds a control character."""
    if isinstance(node, ScalarNode) and node.place.line == 0:
        # A variable or a flag has no quotes to tell text from a number: where text is wanted, it is text.
        node = replace(node, value=node.text)
    if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
        quote = "; quote it" if isinstance(node, ScalarNode) and node.value is not None else ""
        problems.add(node.place, f"`{name}` must be text{quote}")
        return ""
    if not node.value and not empty:
        problems.add(node.place, f"`{name}` must not be empty")
    if any(unicodedata.category(character) == "Cc" for character in node.value):
        problems.add(node.place, f"`{name}` holds a control character or a line break, which is refused")
        return ""
    return node.value
