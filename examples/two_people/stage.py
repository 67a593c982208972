"""How the demo looks: two people side by side, in colour on a terminal, plain elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

HIDDEN = "[redacted]"


class Stage:
    """Prints scenes. `width` characters at most, so that two answers fit beside each other."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def title(self, text: str) -> None:
        """Print the title of everything."""
        self._console.print(Panel(Text(text, justify="center", style="bold"), border_style="cyan"))

    def scene(self, number: int, text: str) -> None:
        """Begin a scene."""
        self._console.print()
        self._console.print(Rule(f"[bold]{number}. {text}[/bold]", align="left", style="cyan"))

    def sql(self, text: str) -> None:
        """Show the statement that both send."""
        if self._console.is_terminal:
            self._console.print(Syntax(text, "sql", theme="ansi_dark", background_color="default", word_wrap=True))
        else:
            self._console.print(text, markup=False)

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text)

    def side_by_side(self, left: RenderableType, right: RenderableType) -> None:
        """Show what the two people see."""
        if self._console.width < 100:
            self._console.print(left)
            self._console.print(right)
            return
        half = (self._console.width - 1) // 2
        self._console.print(Columns([left, right], width=half, padding=(0, 1)))


def answer(who: str, columns: Sequence[str], rows: Sequence[Sequence[object]], note: str) -> RenderableType:
    """Show an answer as one person sees it, with the line that says which policy shaped it."""
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    return Panel(Group(table, Text(""), Text(note, style="dim")), title=f"[bold]{who}[/bold]", title_align="left")


def message(who: str, text: str, *, good: bool) -> RenderableType:
    """Show a sentence as one person sees it."""
    style = "green" if good else "yellow"
    return Panel(Text(text), title=f"[bold]{who}[/bold]", title_align="left", border_style=style)


def _cell(value: object) -> Text:
    if value is None:
        return Text("NULL", style="dim italic")
    if value == HIDDEN:
        return Text(HIDDEN, style="magenta")
    return Text(f"{value:,}" if isinstance(value, int) else str(value))
