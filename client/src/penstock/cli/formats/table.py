"""A table for people: marks where the policy shaped it, and one closing line that says how.

Written by hand rather than with `rich.table`, which took 300 microseconds a cell, and which folds columns to nothing
where there are more of them than a terminal has room for.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
from rich.cells import cell_len
from rich.console import Console
from rich.style import Style

from penstock import Result
from penstock.cli.formats.values import texts
from penstock.cli.screen import console, shown
from penstock.cli.shaping import NULL_MARK, Marks, sentence

_ROWS_AT_ONCE = 1000
"""Rows under one heading: widths are found for so many together, and no more are held."""

_GAP = "  "


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """What is printed, how wide it is on a terminal, and what stands around it there."""

    text: str
    width: int
    before: str = ""
    after: str = ""

    def padded(self, width: int, *, right: bool) -> str:
        blank = " " * (width - self.width)
        styled = f"{self.before}{self.text}{self.after}"
        return blank + styled if right else styled + blank


class TableWriter:
    """Writes a table; every value is shown whole, and a line that is too long for the terminal goes on below."""

    def __init__(self, stream: BinaryIO, result: Result) -> None:
        """Take where to write, and the answer, of which the schema and the applied policies are read."""
        self._stream = io.TextIOWrapper(stream, encoding="utf-8", errors="backslashreplace", write_through=True)
        self._schema: pa.Schema = result.schema
        self._marks = Marks(result.explanation)
        self._closing = sentence(result.explanation, policy_version=result.policy_version)
        screen = console(self._stream)
        self._bold, self._dim, self._mask = (_around(screen, each) for each in ("bold", "dim", "italic yellow"))
        self._null = _cell("NULL", self._dim)
        self._policy_null = _cell(f"NULL{NULL_MARK}", self._dim)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Write rows once there are enough of them."""
        for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
            self._waiting.append(batch.slice(start, _ROWS_AT_ONCE))
            if sum(each.num_rows for each in self._waiting) >= _ROWS_AT_ONCE:
                self._print()

    def finish(self) -> None:
        """Write the last rows, their number and how the policy shaped them."""
        if self._waiting or not self._rows:
            self._print()
        count = f"{self._rows:,} row{'' if self._rows == 1 else 's'}"
        before, after = self._dim
        self._stream.write(f"{before}{shown(f'{count}; {self._closing}')}{after}\n")

    def _print(self) -> None:
        columns = [self._column(index) for index in range(len(self._schema))]
        self._rows += sum(batch.num_rows for batch in self._waiting)
        self._waiting = []
        lines = (_GAP.join(row).rstrip(" ") + "\n" for row in zip(*columns, strict=True))
        self._stream.write("".join(lines))

    def _column(self, index: int) -> Sequence[str]:
        field = self._schema.field(index)
        null = self._policy_null if self._marks.partly_null(field.name) else self._null
        around = self._mask if self._marks.mask(field.name) else ("", "")
        cells = [_cell(self._marks.heading(field.name), self._bold)]
        for batch in self._waiting:
            cells += [null if text is None else _cell(text, around) for text in texts(batch.column(index))]
        width = max(cell.width for cell in cells)
        right = pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_decimal(field.type)
        return [cell.padded(width, right=right) for cell in cells]


def _cell(text: str, around: tuple[str, str]) -> _Cell:
    safe = shown(text)
    width = len(safe) if safe.isascii() else cell_len(safe)
    return _Cell(text=safe, width=width, before=around[0], after=around[1])


def _around(screen: Console, style: str) -> tuple[str, str]:
    """Give what stands before and after a text in a style: nothing, where the stream is no terminal."""
    if not screen.is_terminal:
        return "", ""
    parsed = Style.parse(style)
    chosen = parsed.without_color if screen.no_color else parsed
    before, _, after = chosen.render("\0").partition("\0")
    return before, after
