"""Progress of a long answer, shown on a terminal where nothing else is written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.cli.screen import messages, styled


def telling() -> Callable[[str], None] | None:
    """Give a function that tells which table the server reads first; None where standard error is no terminal."""
    if not sys.stderr.isatty():
        return None
    return lambda table: messages().print(styled(f"building extract of {table} ..."))


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
