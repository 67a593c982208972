"""`penstock agent`: an AWS container credentials endpoint for the programs of this user."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Annotated

import typer

from penstock.cli.aws_options import AccessOption, Purpose, Resources, Ttl, session_request
from penstock.cli.connecting import Target
from penstock.cli.credentials import exports
from penstock.cli.options import connection, with_target
from penstock.cli.screen import messages
from penstock.cli.session_source import SignInGuard, holder
from penstock.delivery import RenewingSession
from penstock.delivery.container_endpoint import ContainerEndpoint
from penstock.delivery.lifeline import Lifeline

_POLL_SECONDS = 0.25


@with_target
def agent(
    target: Target,
    *,
    resources: Resources,
    access: AccessOption = None,
    ttl: Ttl = None,
    purpose: Purpose = "",
    until: Annotated[
        int | None,
        typer.Option("--until", metavar="PID", min=1, help="End with this process instead of the parent."),
    ] = None,
) -> None:
    """Serve an AWS session on 127.0.0.1 and renew it; prints the two variables by which AWS's SDKs find it."""
    way = connection(target)
    request = session_request(resources, access=access, ttl=ttl, purpose=purpose)
    with Lifeline(until) as lifeline, way.open() as broker:
        guard = SignInGuard(way, holder(way))
        renewing = RenewingSession(lambda: request.issue(broker), check=guard.check)
        renewing.current()
        with ContainerEndpoint(renewing) as endpoint:
            ended = threading.Event()
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, lambda *_: ended.set())
            sys.stdout.write(exports(endpoint.variables.items()) + "\n")
            _let_go_of_output()
            messages().print("serving; Ctrl-C ends it, and so does the end of its parent", soft_wrap=True)
            while lifeline.holds() and not ended.wait(_POLL_SECONDS):
                pass


def _let_go_of_output() -> None:
    """Close standard output, so that `eval "$(penstock agent ... &)"` has all that it waits for."""
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
