"""Which combinations of patterns and places among constants a text can have, each with a text that has it.

The automaton of all patterns runs beside a tree of the constants. While the text read so far begins some constant it is
*tied* to those; the first other character decides between which constants it lies, for good. One character stands for
all that no pattern names and that lie in the same gap of the tree, so breadth first over these states misses nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from penstock_server.policy.proof.budget import OutOfBudget
from penstock_server.policy.proof.globs import MAX_CHARACTER, SURROGATES, GlobSet

Kind = tuple[int, int]
"""The number of order constants below a text, and which patterns match it (bit i for the i-th)."""

_PLEASANT: Final = "xqz0kamw5XA-_ "
"""Characters that are tried first as the one that stands for many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """Constants of one text column: `order` (sorted) are those that it is ordered by, `points` all of them."""

    order: tuple[str, ...]
    points: frozenset[str]

    def place_of(self, text: str) -> int:
        """Give the number of order constants below a text that is none of them."""
        return bisect_left(self.order, text)


def kinds_of_texts(
    globs: GlobSet, constants: Constants, *, states: int | None, wanted: Callable[[Kind], bool] | None
) -> Mapping[Kind, str]:
    """Give every kind that some text other than the points has, with such a text; complete and exact.

    With `wanted` the search ends at the first kind that is wanted, and is complete for wanted kinds only.

    Raises:
        OutOfBudget: more states than that would have to be visited; None = no bound.
    """
    marks = set(constants.order)
    while True:
        walk = _Walk(globs, constants, sorted(marks), states, wanted)
        found, blocked = walk.run()
        if not blocked or (wanted is not None and any(wanted(kind) for kind in found)):
            return {kind: text or _longer(kind, globs, constants) for kind, text in found.items()}
        # Some kinds came up with a point only. Mark these points in the tree, so that the walk goes around them.
        marks |= blocked


class _State(NamedTuple):
    """Where a text stands: the patterns' state; the marks `low` to `high` begin with it (none = it has left them).

    `depth` is the length of the text while it is tied, else 0; a text that has left lies just before mark `low`.
    """

    patterns: int
    low: int
    high: int
    depth: int


class _Walk:
    """One breadth-first walk; `marks` are sorted and hold all order constants."""

    def __init__(
        self,
        globs: GlobSet,
        constants: Constants,
        marks: Sequence[str],
        states: int | None,
        wanted: Callable[[Kind], bool] | None,
    ) -> None:
        self._globs = globs
        self._constants = constants
        self._marks = marks
        self._states = states
        self._wanted = wanted
        self._rank = [bisect_left(constants.order, mark) for mark in (*marks, "")]
        self._rank[-1] = len(constants.order)
        self._named = sorted(globs.characters, key=_by_looks)
        # INVARIANT: no pattern names it, so it stands for every character that none names; that no point holds it
        # is for short witnesses only.
        self._fresh = _fresh(globs.characters.union(*constants.points), 0, MAX_CHARACTER + 1) or _fresh(
            globs.characters, 0, MAX_CHARACTER + 1
        )
        self._left = tuple(self._named) if self._fresh is None else (*self._named, self._fresh)
        self._parents: dict[_State, tuple[_State, str] | None] = {}
        self._letters: dict[tuple[int, int, int], tuple[str, ...]] = {}

    def run(self) -> tuple[dict[Kind, str], set[str]]:
        """Give the kinds with a text each, and the points that stood in the way of a kind that is not among them."""
        start = _State(self._globs.start, 0, len(self._marks), 0)
        self._parents[start] = None
        found: dict[Kind, str] = {}
        blocked: dict[Kind, str] = {}
        layer = [start]
        while layer:
            following: list[_State] = []
            for state in layer:
                kind = self._kind(state)
                if kind is not None and kind not in found and self._note(kind, state, found, blocked):
                    return found, set()
                following += self._unseen(state)
            if self._states is not None and len(self._parents) > self._states:
                raise OutOfBudget(f"the patterns on one column need more than {self._states} states")
            layer = following
        return found, {text for kind, text in blocked.items() if kind not in found and self._wants(kind)}

    def _wants(self, kind: Kind) -> bool:
        return self._wanted is None or self._wanted(kind)

    def _note(self, kind: Kind, state: _State, found: dict[Kind, str], blocked: dict[Kind, str]) -> bool:
        """Keep a text of this kind; tells whether the search is over."""
        text = self._text(state)
        if text in self._constants.points:
            blocked.setdefault(kind, text)
            return False
        found[kind] = text
        return self._wanted is not None and self._wanted(kind)

    def _kind(self, state: _State) -> Kind | None:
        """Give the kind of the text that stands here, or None where it is a mark."""
        if state.low < state.high and len(self._marks[state.low]) == state.depth:
            return None
        return self._rank[state.low], self._globs.accepted(state.patterns)

    def _unseen(self, state: _State) -> Iterator[_State]:
        for letter in self._letters_at(state):
            following = self._after(state, letter)
            if following not in self._parents:
                self._parents[following] = (state, letter)
                yield following

    def _after(self, state: _State, letter: str) -> _State:
        patterns = self._globs.step(state.patterns, letter)
        if state.low == state.high:
            return _State(patterns, state.low, state.low, 0)
        depth = state.depth
        low = self._first(state, lambda mark: len(mark) > depth and mark[depth] >= letter)
        high = self._first(state, lambda mark: len(mark) > depth and mark[depth] > letter)
        return _State(patterns, low, high, depth + 1) if low < high else _State(patterns, low, low, 0)

    def _first(self, state: _State, holds: Callable[[str], bool]) -> int:
        """Give the first mark of those tied to for which this holds; it then holds for all that follow."""
        low, high = state.low, state.high
        while low < high:
            middle = (low + high) // 2
            if holds(self._marks[middle]):
                high = middle
            else:
                low = middle + 1
        return low

    def _letters_at(self, state: _State) -> tuple[str, ...]:
        """Give characters that stand for all: each that is named or next in a mark, and one for each gap between."""
        if state.low == state.high:
            return self._left
        key = (state.low, state.high, state.depth)
        letters = self._letters.get(key)
        if letters is None:
            depth = state.depth
            following = {mark[depth] for mark in self._marks[state.low : state.high] if len(mark) > depth}
            letters = self._letters[key] = tuple(
                sorted({*self._named, *following, *self._gaps(following)}, key=_by_looks)
            )
        return letters

    def _gaps(self, following: set[str]) -> Iterator[str]:
        """Give for each gap between these characters one that no pattern names; all the gap's others are named."""
        edges = [-1, *sorted(map(ord, following)), MAX_CHARACTER + 1]
        for below, above in pairwise(edges):
            letter = _fresh(self._globs.characters, below + 1, above)
            if letter is not None:
                yield letter

    def _text(self, state: _State) -> str:
        letters: list[str] = []
        step = self._parents[state]
        while step is not None:
            before, letter = step
            letters.append(letter)
            step = self._parents[before]
        return "".join(reversed(letters))


def _longer(kind: Kind, globs: GlobSet, constants: Constants) -> str:
    """Give a text of a kind that the empty text has, not empty if one is at hand: it reads better."""
    for letter in _PLEASANT:
        if letter not in constants.points and (constants.place_of(letter), globs.matches(letter)) == kind:
            return letter
    return ""


def _fresh(used: frozenset[str], low: int, high: int) -> str | None:
    """Give a character from `low` up to but not `high` that is not used, or None if all are."""
    for letter in _PLEASANT:
        if low <= ord(letter) < high and letter not in used:
            return letter
    code = low
    while code < high:
        if code in SURROGATES:
            code = SURROGATES.stop
        elif chr(code) in used:
            code += 1
        else:
            return chr(code)
    return None


def _by_looks(letter: str) -> tuple[bool, str]:
    return not letter.isalnum(), letter
