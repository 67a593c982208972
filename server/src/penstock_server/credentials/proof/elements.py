"""What a condition key with several values may be: the sets of its elements, cut by which lists hold all of them.

Conditions ask of such a key only whether it is there, and whether all of its elements are among those of a list. Which
lists hold all of a set is what its elements have in common, so that the regions are the classes of single elements, and
all that can be had by joining some: one element of each class is enough for a witness.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from penstock_server.credentials.proof.steps import Steps

_FRESH: Final = "something-else"


class ElementsDomain:
    """The values of one key. Bit 0 = it is absent, or empty, which AWS takes for the same."""

    def __init__(self, lists: Iterable[frozenset[str]], steps: Steps) -> None:
        self._lists = tuple(sorted(frozenset(lists), key=sorted))
        self._regions = self._cut(steps)
        self.absent = 1
        self.every = (1 << len(self._regions) + 1) - 1
        self.present = self.every & ~self.absent

    def among(self, some: frozenset[str]) -> int:
        """Give the values that are there and whose every element is in a list that was named."""
        place = self._lists.index(some)
        bits = 0
        for region, (held_by, _) in enumerate(self._regions, 1):
            if held_by >> place & 1:
                bits |= 1 << region
        return bits

    def sample(self, place: int) -> str | None:
        """Give a value of a region, as text; None where the key is absent."""
        return None if place == 0 else ", ".join(sorted(self._regions[place - 1][1]))

    def _cut(self, steps: Steps) -> tuple[tuple[int, frozenset[str]], ...]:
        fresh = _FRESH
        while any(fresh in some for some in self._lists):
            fresh += "-"
        single: dict[int, frozenset[str]] = {}
        for element in sorted({fresh}.union(*self._lists)):
            steps.spend()
            held_by = sum(1 << place for place, some in enumerate(self._lists) if element in some)
            single.setdefault(held_by, frozenset({element}))
        found = dict(single)
        waiting = list(single)
        while waiting:
            one = waiting.pop()
            for other, elements in single.items():
                steps.spend()
                if one & other not in found:
                    found[one & other] = found[one] | elements
                    waiting.append(one & other)
        return tuple(found.items())
