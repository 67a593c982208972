"""`penstock leases`."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli.connecting import Target
from penstock.cli.notation import Notation, NotationOption, moment, print_json, print_table
from penstock.cli.options import connection, with_target
from penstock.errors import invalid

app = typer.Typer(help="List the credentials that you hold.")


@app.callback(invoke_without_command=True)
@with_target
def leases(target: Target, *, context: typer.Context, notation: NotationOption = Notation.TABLE) -> None:
    """List your credentials that have not ended."""
    if context.invoked_subcommand is not None:
        return
    with connection(target).open() as broker:
        found = broker.leases()
    if notation is Notation.JSON:
        print_json(found)
        return
    rows = (
        (each.lease_id, each.door.value, moment(each.created_at), moment(each.expires_at), each.scope) for each in found
    )
    print_table(("lease", "door", "since", "until", "reaches"), rows)


@app.command("revoke", hidden=True)
def revoke(lease_id: Annotated[str, typer.Argument(metavar="ID")] = "") -> None:
    """Is not available in this version."""
    raise invalid("leases revoke", "is not available in this version")
