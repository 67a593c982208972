"""Collects what is wrong with the policy files, so that an operator sees all of it at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from penstock_server.config.document import Place
from penstock_server.errors import ConfigurationError

MAX_PROBLEMS: Final = 200
"""Most problems in one report."""

NOT_AVAILABLE: Final = "not available in this version"
"""Ends every refusal of what the format describes and this version lacks."""


_PROBLEM: Final = re.compile(r"(?P<path>[^:]+?)(?::(?P<line>[1-9][0-9]{0,8}))?: (?P<what>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedProblem:
    """A problem in its parts; `path` is "" and `line` 0 where it has no such place."""

    path: str
    line: int
    what: str


def located(problem: str) -> LocatedProblem:
    """Take a problem of the form `FILE:LINE: what` apart; one of another form has no place."""
    found = _PROBLEM.fullmatch(problem)
    if found is None:
        return LocatedProblem(path="", line=0, what=problem)
    return LocatedProblem(path=found["path"], line=int(found["line"] or 0), what=found["what"])


def _by_place(problem: str) -> tuple[str, int]:
    found = located(problem)
    return found.path, found.line


class Problems:
    """What is wrong so far; raised in the order of files and lines."""

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
            lines = sorted(self._lines, key=_by_place)
            left_out = len(lines) - MAX_PROBLEMS
            more = (f"and {left_out} more problems",) if left_out > 0 else ()
            raise ConfigurationError((*lines[:MAX_PROBLEMS], *more))
