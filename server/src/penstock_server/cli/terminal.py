"""What people read: colours on a terminal that wants them, and no text that a terminal would obey."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from penstock_server.errors import ConfigurationError, PenstockError
from penstock_server.model.printable import printable


class Terminal:
    """Standard output and standard error. Colours obey NO_COLOR; nothing is wrapped, so that lines can be searched."""

    def __init__(self) -> None:
        self._out = Console(highlight=False, soft_wrap=True)
        self._error = Console(highlight=False, soft_wrap=True, stderr=True)

    def say(self, text: str = "", *, style: str = "") -> None:
        """Print one line, exactly as it is but for what a terminal would obey."""
        self._out.print(Text(printable(text), style=style))

    def say_parts(self, parts: Iterable[tuple[str, str]]) -> None:
        """Print one line of (text, style) parts."""
        self._out.print(Text.assemble(*((printable(text), style) for text, style in parts)))

    def raw(self, text: str) -> None:
        """Print one line for a machine; the text must be ASCII without control characters."""
        self._out.out(text, highlight=False)

    def complain(self, text: str) -> None:
        """Print one line to standard error."""
        self._error.print(Text(printable(text), style="red"))

    def explain(self, error: ConfigurationError | PenstockError) -> None:
        """Print what went wrong, a line each, to standard error."""
        if isinstance(error, ConfigurationError):
            for problem in error.problems:
                self.complain(problem)
            return
        self.complain(error.message)
        for more in (error.hint, error.detail):
            if more:
                self.complain(f"  {more}")
