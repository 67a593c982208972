"""`penstock-server queries`: the statements under way at a running server."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from penstock_server.cli.running_server import AuthorityOption, JsonOption, ServerOption, TokenOption, asking
from penstock_server.cli.terminal import Terminal


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    queries = typer.Typer(no_args_is_help=True, help="List and end statements under way; for administrators.")
    queries.command("list")(list_)
    queries.command("cancel")(cancel)
    app.add_typer(queries, name="queries")


def list_(
    *,
    server: ServerOption = None,
    token_file: TokenOption = None,
    ca: AuthorityOption = None,
    as_json: JsonOption = False,
) -> None:
    """List who runs a statement since when, and over which tables; never its text."""
    with asking(server=server, token_file=token_file, ca=ca) as broker:
        found = broker.operations.queries()
    terminal = Terminal()
    for query in found:
        if as_json:
            terminal.raw(json.dumps({**asdict(query), "started_at": query.started_at.isoformat()}))
        else:
            tables = ", ".join(query.tables) or "-"
            terminal.say(
                f"{query.query_id}  {query.phase:<10}since {query.started_at:%H:%M:%S}"
                f"  {query.issuer}|{query.subject}  {tables}"
            )


def cancel(
    query_id: Annotated[str, typer.Argument(metavar="ID", help="As `queries list` prints it.")],
    *,
    server: ServerOption = None,
    token_file: TokenOption = None,
    ca: AuthorityOption = None,
) -> None:
    """End a statement; its caller is told that an administrator did."""
    with asking(server=server, token_file=token_file, ca=ca) as broker:
        broker.operations.cancel_query(query_id)
    Terminal().say("cancelled")
