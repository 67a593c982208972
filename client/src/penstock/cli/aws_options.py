"""What is asked of the AWS door on the command line: written once for every command that asks it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import typer

from penstock.cli.quantities import span
from penstock.delivery import SessionRequest


class Access(StrEnum):
    """What is to be done with AWS resources."""

    READ = "read"
    LIST = "list"
    WRITE = "write"


Resources = Annotated[list[str], typer.Argument(metavar="ARN...", help="S3 objects, prefixes ending in /*, or tables.")]
AccessOption = Annotated[list[Access] | None, typer.Option("--access", help="May be given several times.")]
Ttl = Annotated[
    timedelta | None,
    typer.Option("--ttl", parser=span, metavar="SPAN", help="How long, such as 30m.", show_default=False),
]
Purpose = Annotated[str, typer.Option("--purpose", help="Why; kept in the audit.", show_default=False)]


def session_request(
    resources: Sequence[str], *, access: Sequence[Access] | None, ttl: timedelta | None, purpose: str
) -> SessionRequest:
    """Give the request that the options mean."""
    return SessionRequest(
        resources=tuple(resources),
        access=tuple(each.value for each in access or [Access.READ]),
        ttl=ttl,
        purpose=purpose,
    )
