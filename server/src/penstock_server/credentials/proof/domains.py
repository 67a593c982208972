"""What a variable of a request may be, cut into regions which no pattern at hand tells apart.

A set of values is an integer: bit i is set where region i belongs to it.

INVARIANT: every region that has a value is there, or a proof would be false; and none is there that has no value, or a
refusal would have no witness. Plain patterns (a text, or everything that begins with one) are cut by sorting their
beginnings: between them lie, for each beginning, the texts that go on with a character which no pattern names. Other
patterns are cut by walking their automaton with every character that one of them names, and one that none does: a
character that no pattern names is matched by wildcards alone, so that one stands for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Final

from penstock_server.credentials.proof.patterns import Pattern, beginning, read_pattern
from penstock_server.credentials.proof.steps import Steps
from penstock_server.policy.proof.globs import GlobSet

BUCKETS_AND_OBJECTS: Final = "arn:aws:s3:::"
_IN_S3: Final = beginning(BUCKETS_AND_OBJECTS)
_OBJECTS: Final = read_pattern(f"{BUCKETS_AND_OBJECTS}*/*")
_FRESH: Final = "xyzqk0"
_BITS_A_STEP: Final = 2_048
"""A state of the automaton is an integer; one of so many bits more costs a step more."""
_INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Region:
    """Texts that exactly these patterns match. `stem` + `rest` is one, `rest` being of fresh characters if `open`."""

    matching: tuple[Pattern, ...]
    stem: str
    open: bool
    rest: str = ""

    def with_rest(self, rest: str, *also: Pattern) -> _Region:
        return _Region((*self.matching, *also), self.stem, open=True, rest=rest)


class TextDomain:
    """The texts of an action or a condition key; with `optional` the key may be absent."""

    def __init__(self, patterns: Iterable[Pattern], steps: Steps, *, optional: bool) -> None:
        self._patterns = frozenset(patterns)
        self._regions = self._cut(steps)
        first = 1 if optional else 0
        self.absent = first  # bit 0, or none
        self.every = (1 << len(self._regions) + first) - 1
        self.present = self.every & ~self.absent
        self._bits: dict[Pattern, int] = dict.fromkeys(self._patterns, 0)
        for place, region in enumerate(self._regions, first):
            for pattern in region.matching:
                self._bits[pattern] |= 1 << place
        self._first = first

    def _cut(self, steps: Steps) -> list[_Region]:
        return _regions(self._patterns, steps)

    def matching(self, patterns: Iterable[Pattern]) -> int:
        """Give the values that one of the patterns matches; all of them were named when the domain was made."""
        bits = 0
        for pattern in patterns:
            bits |= self._bits[pattern]
        return bits

    def sample(self, place: int) -> str | None:
        """Give a value of a region; None where the key is absent."""
        if place < self._first:
            return None
        region = self._regions[place - self._first]
        if not region.open:
            return region.stem
        fresh = _fresh(self._patterns)
        return region.stem + "".join(fresh if character == "x" else character for character in region.rest or "x")

    def place_of(self, text: str) -> int:
        """Give the region of a text."""
        found = {pattern for pattern in self._patterns if pattern.matches(text)}
        return next(place for place, region in enumerate(self._regions, self._first) if found == set(region.matching))


class ResourceDomain(TextDomain):
    """The texts of a resource. `buckets` and `objects` of S3 are told apart: an ARN of an object has a slash."""

    def __init__(self, patterns: Iterable[Pattern], steps: Steps) -> None:
        super().__init__((*patterns, _IN_S3, _OBJECTS), steps, optional=False)
        self.objects = self.matching((_OBJECTS,))
        self.buckets = self.matching((_IN_S3,)) & ~self.objects

    def _cut(self, steps: Steps) -> list[_Region]:
        if not all(pattern.is_plain for pattern in self._patterns if pattern is not _OBJECTS):
            return _regions(self._patterns, steps)
        plain = _plain_regions(self._patterns - {_OBJECTS}, steps)
        return list(chain.from_iterable(_told_apart(region) for region in plain))


class InstantDomain:
    """All instants, cut at those that are named."""

    def __init__(self, instants: Iterable[datetime]) -> None:
        self._instants = sorted(set(instants))
        self._place = {instant: place for place, instant in enumerate(self._instants)}
        self.every = (1 << 2 * len(self._instants) + 1) - 1

    def before(self, instant: datetime) -> int:
        """Give what lies before an instant that was named."""
        return (1 << 2 * self._place[instant] + 1) - 1

    def until(self, instant: datetime) -> int:
        """Give what lies before an instant that was named, and the instant."""
        return (1 << 2 * self._place[instant] + 2) - 1

    def sample(self, place: int) -> str:
        """Give an instant of a region."""
        index, at = divmod(place, 2)
        if at:
            return self._instants[index].isoformat()
        if index < len(self._instants):
            return (self._instants[index] - _INSTANT).isoformat()
        return (self._instants[-1] + _INSTANT).isoformat() if self._instants else "any instant"


def _told_apart(region: _Region) -> tuple[_Region, ...]:
    """Cut a region of plain patterns into what is an object of S3 and what is none."""
    if not region.stem.startswith(BUCKETS_AND_OBJECTS):
        return (region,)
    if "/" in region.stem[len(BUCKETS_AND_OBJECTS) :]:
        return (_Region((*region.matching, _OBJECTS), region.stem, region.open),)
    if not region.open:
        return (region,)
    return region, region.with_rest("x/x", _OBJECTS)


def _regions(patterns: frozenset[Pattern], steps: Steps) -> list[_Region]:
    if all(pattern.is_plain for pattern in patterns):
        return _plain_regions(patterns, steps)
    return _walked_regions(tuple(patterns), steps)


def _plain_regions(patterns: frozenset[Pattern], steps: Steps) -> list[_Region]:
    heads: dict[str, list[Pattern]] = {}
    for pattern in patterns:
        heads.setdefault(pattern.head, []).append(pattern)
    around: list[Pattern] = []  # the prefixes that hold the head at hand, longest last
    regions = [] if beginning("") in patterns else [_Region((), "", open=True)]
    for head in sorted(heads):
        steps.spend()
        while around and not head.startswith(around[-1].head):
            around.pop()
        here = heads[head]
        around.extend(pattern for pattern in here if pattern.is_prefix)
        texts = [pattern for pattern in here if pattern.is_text]
        if texts:
            regions.append(_Region((*around, *texts), head, open=False))
        if len(texts) < len(here):
            regions.append(_Region(tuple(around), head, open=True))
    return regions


def _walked_regions(patterns: Sequence[Pattern], steps: Steps) -> list[_Region]:
    size = sum(len(pattern.head) + len(pattern.tail) + 1 for pattern in patterns)
    steps.spend(2 * size)
    automaton = GlobSet([pattern.glob for pattern in patterns])
    letters = (*sorted(automaton.characters), _fresh(patterns))
    cost = len(letters) * (1 + size // _BITS_A_STEP)
    reached = {automaton.start: ""}
    waiting = [automaton.start]
    regions: dict[int, str] = {}
    while waiting:
        following: list[int] = []
        for state in waiting:
            regions.setdefault(automaton.accepted(state), reached[state])
            steps.spend(cost)
            for letter in letters:
                after = automaton.step(state, letter)
                if after not in reached:
                    reached[after] = reached[state] + letter
                    following.append(after)
        waiting = following
    return [
        _Region(tuple(pattern for place, pattern in enumerate(patterns) if found >> place & 1), text, open=False)
        for found, text in regions.items()
    ]


def _fresh(patterns: Iterable[Pattern]) -> str:
    """Give a character that no pattern names, one that reads well if there is one."""
    named = set(chain.from_iterable(part for pattern in patterns for part in pattern.glob if isinstance(part, str)))
    for character in chain(_FRESH, map(chr, range(0x100, 0xD800))):
        if character not in named:
            return character
    raise AssertionError("a policy of some thousand characters names every character")
