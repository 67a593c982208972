"""`penstock leases`."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli.connecting import Target
from penstock.cli.notation import Notation, NotationOption, moment, print_json, print_members, print_table
from penstock.cli.options import connection, with_target
from penstock.cli.session_source import wipe
from penstock.credentials import Lease

app = typer.Typer(help="List, show and revoke the credentials that you hold.")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The lease's id.")]


@app.callback(invoke_without_command=True)
@with_target
def leases(
    target: Target,
    *,
    context: typer.Context,
    everybody: Annotated[bool, typer.Option("--all", help="Those of everybody; for administrators.")] = False,
    notation: NotationOption = Notation.TABLE,
) -> None:
    """List your credentials that have not ended."""
    if context.invoked_subcommand is not None:
        return
    with connection(target).open() as broker:
        found = broker.leases(everybody=everybody)
    if notation is Notation.JSON:
        print_json(found)
        return
    who = ("holder",) if everybody else ()
    rows = (
        (
            each.lease_id,
            each.state.value,
            each.door.value,
            moment(each.created_at),
            moment(each.expires_at),
            *((f"{each.issuer}|{each.subject}",) if everybody else ()),
            each.scope,
        )
        for each in found
    )
    print_table(("lease", "state", "door", "since", "until", *who, "reaches"), rows)


@app.command("show")
@with_target
def show(target: Target, *, lease_id: IdArgument, notation: NotationOption = Notation.TABLE) -> None:
    """Show one credential that you hold; administrators may ask for any."""
    with connection(target).open() as broker:
        found = broker.lease(lease_id)
    if notation is Notation.JSON:
        print_json(found)
        return
    print_members(_lines(found))


@app.command("revoke")
@with_target
def revoke(target: Target, *, lease_id: IdArgument, notation: NotationOption = Notation.TABLE) -> None:
    """Revoke one credential that you hold; administrators may revoke any. Again is no error."""
    way = connection(target)
    with way.open() as broker:
        revoked = broker.revoke_lease(lease_id)
    # It may be one that is kept here, and must not be given out again.
    wipe(way)
    if notation is Notation.JSON:
        print_json(revoked)
        return
    print_members((*_lines(revoked.lease), ("effect", revoked.effect)))


def _lines(lease: Lease) -> tuple[tuple[str, str], ...]:
    return (
        ("lease", lease.lease_id),
        ("state", lease.state.value),
        ("door", lease.door.value),
        ("holder", f"{lease.issuer}|{lease.subject}"),
        ("role", lease.role_arn),
        ("since", moment(lease.created_at)),
        ("until", moment(lease.expires_at)),
        ("revoked", "" if lease.revoked_at is None else moment(lease.revoked_at)),
        ("reaches", lease.scope),
    )
