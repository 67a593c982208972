"""`penstock-server extracts`: the permitted cells that a running server keeps."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from penstock_server.cli.running_server import AuthorityOption, JsonOption, ServerOption, TokenOption, asking
from penstock_server.cli.terminal import Terminal

_MIB: Final = 2**20


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    extracts = typer.Typer(no_args_is_help=True, help="What is kept of tables for statements; for administrators.")
    extracts.command("list")(list_)
    extracts.command("warm")(warm)
    extracts.command("drop")(drop)
    app.add_typer(extracts, name="extracts")


def list_(
    *,
    server: ServerOption = None,
    token_file: TokenOption = None,
    ca: AuthorityOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what is kept: tables, columns, size, age, hits and readers; never a value, nor for whose decision."""
    with asking(server=server, token_file=token_file, ca=ca) as broker:
        found = broker.operations.extracts()
    terminal = Terminal()
    now = datetime.now(UTC)
    for kept in sorted(found, key=lambda one: (one.table, one.extract_id)):
        if as_json:
            terminal.raw(json.dumps({**asdict(kept), "created_at": kept.created_at.isoformat()}))
        else:
            age = int((now - kept.created_at).total_seconds())
            terminal.say(
                f"{kept.extract_id}  {kept.table}  {kept.size_bytes / _MIB:.1f} MiB  {age} s old  {kept.hits} hits"
                f"  {kept.readers} readers  {', '.join(kept.columns) or '(rows alone)'}"
            )


def warm(
    table: Annotated[str, typer.Argument(metavar="CATALOG.DATABASE.TABLE")],
    *,
    user: Annotated[str, typer.Option("--as", metavar="USER", help="For whom, by username.")],
    groups: Annotated[list[str] | None, typer.Option("--group", metavar="GROUP", help="A group of theirs.")] = None,
    issuer: Annotated[str, typer.Option(metavar="URL", help="Their issuer; else the default one.")] = "",
    server: ServerOption = None,
    token_file: TokenOption = None,
    ca: AuthorityOption = None,
) -> None:
    """Make the extract of a table for somebody, and for everybody whose decision is equal."""
    with asking(server=server, token_file=token_file, ca=ca) as broker:
        kept = broker.operations.warm_extract(table, username=user, groups=groups or (), issuer=issuer)
    if not kept:
        Terminal().complain("it is not kept: it does not fit into `query.extracts.memory`")
        raise typer.Exit(1)
    Terminal().say("kept")


def drop(
    extract_id: Annotated[str, typer.Argument(metavar="[ID]", help="As `extracts list` prints it.")] = "",
    *,
    every: Annotated[bool, typer.Option("--all", help="Let all go.")] = False,
    server: ServerOption = None,
    token_file: TokenOption = None,
    ca: AuthorityOption = None,
) -> None:
    """Let one extract go, or all; statements that read it read on."""
    if bool(extract_id) is every:
        raise typer.BadParameter("give the id of one, or `--all`")
    with asking(server=server, token_file=token_file, ca=ca) as broker:
        dropped = broker.operations.drop_extracts(extract_id)
    Terminal().say(f"dropped: {dropped}")
