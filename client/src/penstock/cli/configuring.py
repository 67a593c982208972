"""`penstock configure`: profiles of the AWS CLI and SDKs that ask this command for credentials."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from penstock import login
from penstock.bearer import TokenFile
from penstock.cli.aws_options import AccessOption, Purpose, Ttl, session_request
from penstock.cli.connecting import Connection, Target
from penstock.cli.options import connection, with_target
from penstock.cli.screen import messages, shown
from penstock.delivery import SessionRequest
from penstock.delivery.aws_configuration import AwsProfile, path, rewrite
from penstock.errors import invalid


@with_target
def configure(
    target: Target,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The AWS profile, for `aws --profile NAME`.")],
    resources: Annotated[
        list[str] | None, typer.Argument(metavar="ARN...", help="What it is to reach.", show_default=False)
    ] = None,
    access: AccessOption = None,
    ttl: Ttl = None,
    purpose: Purpose = "",
    region: Annotated[str, typer.Option("--region", metavar="NAME", help="The AWS region.", show_default=False)] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Remove the profile instead.")] = False,
) -> None:
    """Write a profile into `~/.aws/config` whose credentials come from `penstock creds aws`."""
    file = path(os.environ)
    if remove:
        if resources or access or ttl or purpose or region:
            raise typer.BadParameter("goes with NAME alone", param_hint="--remove")
        _report(name, file, "removed from" if rewrite(file, profile=None, remove=name) else "is not in")
        return
    if not resources:
        raise typer.BadParameter("name what the profile is to reach", param_hint="ARN...")
    way = connection(target)
    request = session_request(resources, access=access, ttl=ttl, purpose=purpose)
    profile = AwsProfile(name=name, command=_command(way, request), region=region)
    _report(name, file, "written to" if rewrite(file, profile=profile) else "stands already in")


def _command(way: Connection, request: SessionRequest) -> tuple[str, ...]:
    words = [_program(), "creds", "aws", "--server", way.server, "--profile", way.profile]
    if way.ca is not None:
        words += ["--ca", str(way.ca.resolve())]
    match way.token:
        case TokenFile() as source:
            words += ["--token-file", str(source.path.resolve())]
        case login.Cached():
            pass
        case _:
            # SECURITY: a token in a file that lasts, and in the command line of a process, is there for others to read.
            raise invalid("PENSTOCK_TOKEN", "is not written into a profile", hint="sign in, or give `--token-file`")
    for each in request.access:
        words += ["--access", each]
    if request.ttl is not None:
        words += ["--ttl", _seconds(request.ttl)]
    if request.purpose:
        words += [f"--purpose={request.purpose}"]
    # What follows is never taken for an option.
    return (*words, "--", *request.resources)


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():g}s"


def _program() -> str:
    # SECURITY: by its place, not by PATH, which belongs to whoever starts the program that reads the profile.
    called = Path(sys.argv[0])
    found = shutil.which(called) if called.name == "penstock" else None
    return str(Path(found or Path(sys.executable).with_name("penstock")).absolute())


def _report(name: str, file: Path, done: str) -> None:
    messages().print(f"profile {shown(name)} {done} {shown(str(file))}", soft_wrap=True)
