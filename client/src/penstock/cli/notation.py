"""Answers that are not rows: as a table for people, or as JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from penstock.cli.screen import output, styled


class Notation(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    JSON = "json"


NotationOption = Annotated[Notation, typer.Option("--format", help="How to write the answer.")]


def print_json(value: Any) -> None:  # noqa: ANN401 - any of the client's dataclasses, or a tuple of them
    """Print dataclasses as JSON, instants in ISO 8601."""
    text = json.dumps(value, default=_plain, indent=2, ensure_ascii=False)
    output().out(text, highlight=False)


def print_members(members: Iterable[tuple[str, str]]) -> None:
    """Print names and values, one pair a line."""
    pairs = list(members)
    width = max(len(name) for name, _ in pairs)
    console = output()
    for name, value in pairs:
        console.print(styled(name.ljust(width), "bold"), styled(value), sep="  ", soft_wrap=True)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under headings; nothing is cut, long values are folded."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(styled(heading), overflow="fold")
    for row in rows:
        table.add_row(*(styled(each) for each in row))
    output().print(table)


def moment(instant: datetime) -> str:
    """Give an instant as people read it, in UTC to the second."""
    return instant.strftime("%Y-%m-%d %H:%M:%S UTC")


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)
