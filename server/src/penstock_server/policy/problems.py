"""Collects what is wrong with the policy files, so that an operator sees all of it at once."""

from __future__ import annotations

from typing import Final

from penstock_server.config.document import Place
from penstock_server.errors import ConfigurationError

MAX_PROBLEMS: Final = 200
"""Most problems in one report."""

NOT_AVAILABLE: Final = "not available in this version"
"""Ends every refusal of what the format describes and this version lacks."""


class Problems:
    """What is wrong so far, in the order in which it was found."""

    def __init__(self) -> None:
        # A dict keeps the order and drops repetitions.
        self._lines: dict[str, None] = {}

    def add(self, place: Place, what: str) -> None:
        """Note a problem: `what` is one sentence with input in backticks, then how to mend it."""
        self._lines[f"{place}: {what}"] = None

    def add_error(self, error: ConfigurationError) -> None:
        """Note the problems of another reader."""
        self._lines.update(dict.fromkeys(error.problems))

    def __len__(self) -> int:
        return len(self._lines)

    def lines(self) -> tuple[str, ...]:
        """Give all of them."""
        return tuple(self._lines)

    def raise_if_any(self) -> None:
        """Raise them together.

        Raises:
            ConfigurationError: there is at least one problem.
        """
        if self._lines:
            lines = tuple(self._lines)
            left_out = len(lines) - MAX_PROBLEMS
            more = (f"and {left_out} more problems",) if left_out > 0 else ()
            raise ConfigurationError((*lines[:MAX_PROBLEMS], *more))
