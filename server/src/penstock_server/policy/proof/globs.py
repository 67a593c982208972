"""Patterns with wildcards as bit-parallel automata: LIKE, and the keys of S3 grants.

A set of patterns is one automaton whose state is a Python integer: bit i is set where a pattern can stand before its
i-th symbol. A symbol consumes one character; a run (`%`, `*`) is a loop at its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, auto
from typing import Final

MAX_CHARACTER: Final = 0x10FFFF
SURROGATES: Final = range(0xD800, 0xE000)
"""Code points that no text holds."""


class Wild(Enum):
    """A part of a pattern that stands for more than itself."""

    ONE = auto()
    """`_` or `?`: exactly one character."""
    RUN = auto()
    """`%` or `*`: any characters, none too."""


Glob = tuple[str | Wild, ...]
"""A pattern: single characters and wildcards, as `normal` orders them."""


def normal(parts: Iterable[str | Wild]) -> Glob:
    """Give the one spelling of a pattern: in each run of wildcards every ONE comes first, then one RUN."""
    spelled: list[str | Wild] = []
    run = False
    for part in parts:
        if part is Wild.RUN:
            run = True
            continue
        if run and part is not Wild.ONE:
            spelled.append(Wild.RUN)
            run = False
        spelled.append(part)
    return (*spelled, Wild.RUN) if run else tuple(spelled)


def like(pattern: str) -> Glob:
    """Give a LIKE pattern without an escape."""
    return normal({"%": Wild.RUN, "_": Wild.ONE}.get(character, character) for character in pattern)


def literal_text(glob: Glob) -> str | None:
    """Give the one text that a pattern without wildcards matches, else None."""
    characters = [part for part in glob if isinstance(part, str)]
    return "".join(characters) if len(characters) == len(glob) else None


class GlobSet:
    """The automaton of several patterns; states are to be stepped from `start`."""

    def __init__(self, globs: Sequence[Glob]) -> None:
        self.start = 0
        self.characters: frozenset[str]
        self._named: dict[str, int] = {}
        self._one = 0
        self._runs = 0
        self._ends: list[int] = []
        self._accepted: dict[int, int] = {}
        place = 0
        for glob in globs:
            place = self._add(glob, place)
        self.characters = frozenset(self._named)
        self._all_ends = sum(self._ends)

    def _add(self, glob: Glob, place: int) -> int:
        self.start |= 1 << place
        for part in glob:
            if part is Wild.RUN:
                self._runs |= 1 << place
                continue
            if part is Wild.ONE:
                self._one |= 1 << place
            else:
                self._named[part] = self._named.get(part, 0) | 1 << place
            place += 1
        self._ends.append(1 << place)
        return place + 1

    def step(self, state: int, character: str) -> int:
        """Give the state after one more character."""
        consumed = state & (self._named.get(character, 0) | self._one)
        return consumed << 1 | state & self._runs

    def accepted(self, state: int) -> int:
        """Give which patterns match the text that led here: bit i for the i-th."""
        ends = state & self._all_ends
        if not ends:
            return 0
        found = self._accepted.get(ends)
        if found is None:
            found = sum(1 << index for index, end in enumerate(self._ends) if ends & end)
            self._accepted[ends] = found
        return found

    def matches(self, text: str) -> int:
        """Give which patterns match a text: bit i for the i-th."""
        state = self.start
        for character in text:
            state = self.step(state, character)
        return self.accepted(state)
