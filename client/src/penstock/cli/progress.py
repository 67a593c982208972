"""Progress of a long answer, shown on a terminal where nothing else is written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.cli.screen import messages


@contextmanager
def counting(destination: Path | None) -> Iterator[Callable[[int], None]]:
    """Give a function that counts rows as they arrive.

    Shown where standard error is a terminal and the answer goes elsewhere; gone when the block ends.
    """
    if not sys.stderr.isatty() or (destination is None and sys.stdout.isatty()):
        yield lambda _: None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - slow to load

    columns = (SpinnerColumn(), TextColumn("{task.completed:,} rows"), TimeElapsedColumn())
    with Progress(*columns, console=messages(), transient=True) as progress:
        task = progress.add_task("rows", total=None)
        yield lambda rows: progress.advance(task, rows)
