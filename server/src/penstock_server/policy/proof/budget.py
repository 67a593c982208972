"""How much may be spent on one comparison, counted in steps and not in time: the same verdict on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Bounds of the comparison of one table, bucket or login.

    `work` counts steps of the search. `pattern_states` bounds the automaton of all patterns on one column; beyond it
    each pattern is a free truth value, and texts are looked for where a model needs one. `text_states` bounds that.
    """

    work: int
    pattern_states: int
    text_states: int


DEFAULT_BUDGET: Final = Budget(work=1_500_000, pattern_states=400, text_states=20_000)
"""Seconds for a hopeless case, milliseconds for the usual one."""


class OutOfBudget(Exception):
    """The comparison gave up; the text says where, for the reason of `Undecided`."""


class Work:
    """What is spent of one budget."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.spent = 0
        self._allowed = budget.work

    @contextmanager
    def at_most(self, steps: int | None) -> Iterator[None]:
        """Allow no more than these steps inside; None = as many as are left."""
        before = self._allowed
        self._allowed = before if steps is None else min(before, self.spent + steps)
        try:
            yield
        finally:
            self._allowed = before

    def spend(self, steps: int) -> None:
        """Count steps.

        Raises:
            OutOfBudget: there were too many.
        """
        self.spent += steps
        if self.spent > self._allowed:
            raise OutOfBudget("it takes too many steps of search")
