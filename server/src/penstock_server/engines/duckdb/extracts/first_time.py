"""Whether a table has been asked for before, under a decision: the first time its rows come inline.

INVARIANT: what is decided here depends on the order of statements, and on decisions; never on a source or its size.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

_MOST_REMEMBERED: Final = 4_096

Asked = tuple[tuple[str, str, str], str]
"""A table's key and the fingerprint of a decision about it."""


class FirstTimes:
    """Counts how often each table was asked for; belongs to one event loop.

    An extract is worth its making from the statement with the number `extracts_from` on; 1 = always.
    """

    def __init__(self, *, extracts_from: int) -> None:
        self._from = extracts_from
        self._asked: OrderedDict[Asked, int] = OrderedDict()

    def is_early(self, asked: Asked) -> bool:
        """Count one more statement, and tell whether its rows should come inline."""
        count = self._asked.pop(asked, 0) + 1
        self._asked[asked] = min(count, self._from)
        while len(self._asked) > _MOST_REMEMBERED:
            self._asked.popitem(last=False)
        return count < self._from
