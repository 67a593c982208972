"""A table for people: marks where the policy shaped it, and one closing line that says how."""

from __future__ import annotations

import io
from typing import BinaryIO

import pyarrow as pa
from rich.table import Table
from rich.text import Text

from penstock import Result
from penstock.cli.formats.values import texts
from penstock.cli.screen import console, styled
from penstock.cli.shaping import NULL_MARK, Marks, sentence

_ROWS_AT_ONCE = 1000
"""Rows under one heading: widths are found for so many together, and no more are held."""


class TableWriter:
    """Writes a table; every value is shown whole, folded where the terminal is narrow."""

    def __init__(self, stream: BinaryIO, result: Result) -> None:
        """Take where to write, and the answer, of which the schema and the applied policies are read."""
        self._console = console(io.TextIOWrapper(stream, encoding="utf-8", write_through=True))
        self._schema: pa.Schema = result.schema
        self._marks = Marks(result.explanation)
        self._closing = sentence(result.explanation, policy_version=result.policy_version)
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
        self._console.print(styled(f"{count}; {self._closing}", "dim"), soft_wrap=True)

    def _print(self) -> None:
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for field in self._schema:
            number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
            heading = styled(self._marks.heading(field.name))
            table.add_column(heading, justify="right" if number else "left", overflow="fold")
        for batch in self._waiting:
            cells = zip(self._schema.names, batch.columns, strict=True)
            columns = [self._cells(name, column) for name, column in cells]
            for row in zip(*columns, strict=True):
                table.add_row(*row)
            self._rows += batch.num_rows
        self._waiting = []
        self._console.print(table)

    def _cells(self, name: str, column: pa.Array) -> list[Text]:
        style = "italic yellow" if self._marks.mask(name) else ""
        null = styled("NULL" + (NULL_MARK if self._marks.partly_null(name) else ""), "dim")
        return [null if text is None else styled(text, style) for text in texts(column)]
