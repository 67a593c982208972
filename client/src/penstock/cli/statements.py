"""`penstock query`."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

import penstock
from penstock.cli.connecting import Target
from penstock.cli.destinations import open_destination
from penstock.cli.formats import Format, of_suffix, writer
from penstock.cli.options import connection, with_target
from penstock.cli.progress import counting, telling
from penstock.cli.quantities import parameters_of, span
from penstock.errors import invalid


@with_target
def query(
    target: Target,
    *,
    sql: Annotated[
        str | None, typer.Argument(metavar="SQL", help="One statement; - reads standard input.", show_default=False)
    ] = None,
    file: Annotated[
        Path | None, typer.Option("-f", "--file", metavar="FILE", help="A file with the statement.", show_default=False)
    ] = None,
    catalog: Annotated[
        str, typer.Option("--catalog", metavar="NAME", help="Where short names are looked up.", show_default=False)
    ] = "",
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            metavar="VALUE",
            help='A value of $1, $2, ..., or NAME=VALUE of $NAME: 42, 12.50, true, null, text, "42", date:2013-01-31.',
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        timedelta | None,
        typer.Option("--timeout", parser=span, metavar="SPAN", help="At most, such as 30s.", show_default=False),
    ] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="How to write the answer [table].", show_default=False)
    ] = None,
    destination: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Where to write the answer.", show_default=False),
    ] = None,
) -> None:
    """Run one read-only statement over exactly the cells that you may see. Ctrl-C cancels it at the server."""
    statement = _statement(sql, file)
    values = parameters_of(parameters or [])
    chosen = form or of_suffix(destination) or Format.TABLE
    _refuse_terminal(chosen, destination)
    with (
        connection(target).open() as broker,
        broker.query(statement, catalog=catalog, parameters=values, timeout=timeout, progress=telling()) as result,
    ):
        _write(result, chosen, destination)


def _write(result: penstock.Result, form: Format, destination: Path | None) -> None:
    with open_destination(destination) as stream, counting(destination) as count:
        to = writer(form, stream, result)
        for batch in result:
            to.write(batch)
            count(batch.num_rows)
        # Only a complete answer gets here: an earlier end has raised.
        to.finish()


def _statement(sql: str | None, file: Path | None) -> str:
    if (sql is None) == (file is None):
        raise typer.BadParameter("give one statement: as text, as - for standard input, or by -f FILE")
    try:
        if file is not None and str(file) != "-":
            return file.read_bytes().decode("utf-8")
        if sql in {None, "-"}:
            return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise invalid("SQL", "is text in UTF-8") from error
    return sql or ""


def _refuse_terminal(form: Format, destination: Path | None) -> None:
    if destination is None and form in {Format.ARROW, Format.PARQUET} and sys.stdout.isatty():
        raise invalid("--format", f"`{form}` is not for a terminal", hint="name a file with `--output`")
