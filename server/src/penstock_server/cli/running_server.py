"""Options of commands that ask a running server, as an administrator with a token of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import penstock
import typer
from penstock.cli import configuration_file
from penstock.cli.connecting import Target, resolve

from penstock_server.cli.terminal import Terminal

ServerOption = Annotated[
    str | None, typer.Option("--server", metavar="HOST:PORT", help="The server; else PENSTOCK_SERVER.")
]
TokenOption = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="An administrator's token; else as for `penstock`."),
]
AuthorityOption = Annotated[Path | None, typer.Option("--ca", metavar="FILE", help="The authority of its certificate.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@contextmanager
def asking(*, server: str | None, token_file: Path | None, ca: Path | None) -> Iterator[penstock.Broker]:
    """Connect as the client does: by options, then environment, then the profile of `penstock login`.

    Raises:
        typer.Exit: the server refused, or cannot be reached; it has been told.
    """
    target = Target(server=server, token_file=token_file, ca=ca)
    try:
        file = configuration_file.read(configuration_file.path(os.environ))
        with resolve(target, environment=os.environ, file=file).open() as broker:
            yield broker
    except penstock.PenstockError as error:
        terminal = Terminal()
        terminal.complain(str(error))
        if error.hint:
            terminal.complain(f"  {error.hint}")
        raise typer.Exit(1) from None
