"""`penstock spark`."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli.aws_options import AccessOption, Purpose, Ttl, session_request
from penstock.cli.connecting import Target
from penstock.cli.leases import IdArgument
from penstock.cli.notation import Notation, NotationOption, moment, print_json, print_members
from penstock.cli.options import connection, with_target

app = typer.Typer(help="Run Spark jobs that reach no further than the policy.", no_args_is_help=True)


@app.command("run")
@with_target
def run(
    target: Target,
    *,
    platform: Annotated[str, typer.Argument(metavar="PLATFORM", help="The configured name of the platform.")],
    resources: Annotated[list[str], typer.Option("--resource", "-r", help="What it reaches; several times.")],
    access: AccessOption = None,
    ttl: Ttl = None,
    purpose: Purpose = "",
    entry_point: Annotated[str, typer.Option("--entry-point", help="The program, s3://BUCKET/KEY.")] = "",
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[ARGUMENT]...", help="For the program.")] = None,
    conf: Annotated[list[str] | None, typer.Option("--conf", metavar="NAME=VALUE", help="A property.")] = None,
    notation: NotationOption = Notation.TABLE,
) -> None:
    """Start a job; arguments of the program that begin with a hyphen follow `--`."""
    scope = session_request(resources, access=access, ttl=ttl, purpose=purpose)
    with connection(target).open() as broker:
        started = broker.spark.run(
            platform,
            scope.resources,
            access=scope.access,
            ttl=scope.ttl,
            purpose=scope.purpose,
            entry_point=entry_point,
            arguments=tuple(arguments or ()),
            properties=dict(_pair(text) for text in conf or ()),
        )
    if notation is Notation.JSON:
        print_json(started)
        return
    print_members(
        (
            ("lease", started.lease_id),
            ("application", started.application),
            ("run", started.run_id),
            ("until", moment(started.expires_at)),
            ("role", started.role_arn),
            ("revocable", started.revocable),
        )
    )


@app.command("status")
@with_target
def status(target: Target, *, lease_id: IdArgument, notation: NotationOption = Notation.TABLE) -> None:
    """Show where a job of yours stands; administrators may ask for any."""
    with connection(target).open() as broker:
        job = broker.spark.show(lease_id)
    if notation is Notation.JSON:
        print_json(job)
        return
    print_members(
        (
            ("lease", job.lease.lease_id),
            ("platform", job.platform),
            ("run", job.run_id),
            ("state", job.state.value),
            ("until", moment(job.lease.expires_at)),
            ("reaches", job.lease.scope),
        )
    )


@app.command("cancel")
@with_target
def cancel(target: Target, *, lease_id: IdArgument, notation: NotationOption = Notation.TABLE) -> None:
    """Stop a job of yours; administrators may stop any. Again is no error."""
    with connection(target).open() as broker:
        revoked = broker.spark.cancel(lease_id)
    if notation is Notation.JSON:
        print_json(revoked)
        return
    print_members((("lease", revoked.lease.lease_id), ("effect", revoked.effect)))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter("is NAME=VALUE", param_hint="--conf")
    return name, value
