"""How much one proof may cost, counted in steps and not in time: the same verdict on every machine."""

from __future__ import annotations

from typing import Final

MAX_STEPS: Final = 24_000
"""A policy of the usual size takes some hundreds; this many take less than 50 ms on the machines we measured."""


MAX_STEPS_OF_GROUNDS: Final = 300_000
"""For what was granted and asked, whose names no policy bounds: keys of 1,024 characters behind a wildcard take
some 260,000, about 0.1 s; usual names take less than 2,000."""


class TooManySteps(Exception):
    """The proof gave up."""


class Steps:
    """What is spent of one proof's steps."""

    def __init__(self, allowed: int = MAX_STEPS) -> None:
        self.spent = 0
        self._allowed = allowed

    def spend(self, count: int = 1) -> None:
        """Count steps.

        Raises:
            TooManySteps: there were more than are allowed.
        """
        self.spent += count
        if self.spent > self._allowed:
            raise TooManySteps
