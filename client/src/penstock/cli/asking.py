"""`penstock tables` and `describe`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from penstock import Column, Table
from penstock.cli import shaping
from penstock.cli.connecting import Target
from penstock.cli.notation import Notation, NotationOption, print_json, print_table
from penstock.cli.options import connection, with_target
from penstock.cli.screen import output, styled


@with_target
def tables(
    target: Target,
    *,
    pattern: Annotated[
        str, typer.Argument(metavar="PATTERN", help="With * and ? over full names.", show_default=False)
    ] = "",
    notation: NotationOption = Notation.TABLE,
) -> None:
    """List the tables that you may query or describe."""
    with connection(target).open() as broker:
        found = broker.tables(pattern)
    if notation is Notation.JSON:
        print_json(found)
        return
    rows = ((each.name, str(len(each.columns)), "; ".join(_remarks(each)) or "-") for each in found)
    print_table(("table", "columns", "policy"), rows)


@with_target
def describe(
    target: Target,
    *,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="catalog.database.table or database.table.")],
    notation: NotationOption = Notation.TABLE,
) -> None:
    """Describe a table as you see it."""
    with connection(target).open() as broker:
        found = broker.describe(table)
    if notation is Notation.JSON:
        print_json(found)
        return
    rows = ((each.name, each.type, _column_remark(each)) for each in found.columns)
    print_table(("column", "type", "policy"), rows)
    line = shaping.sentence((found.applied_policy,)) if found.applied_policy else f"{found.name} may not be queried"
    output().print(styled(line, "dim"), soft_wrap=True)


def _remarks(table: Table) -> Iterator[str]:
    if not table.queryable:
        yield "describe only"
    if table.rows_filtered:
        yield "rows filtered"
    if table.applied_policy is not None and table.applied_policy.columns_left_out:
        yield "columns left out"
    masked = sum(1 for each in table.columns if each.mask)
    if masked:
        yield f"{masked} masked"


def _column_remark(column: Column) -> str:
    parts = [f"shows mask {column.mask}"] if column.mask else []
    if column.partly_null:
        parts.append("NULL on some rows")
    return "; ".join(parts)
