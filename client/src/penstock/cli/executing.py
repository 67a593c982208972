"""`penstock exec`: a program with an AWS session, and with no other source of AWS credentials."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Annotated, Final, NoReturn

import typer

from penstock.cli.aws_options import AccessOption, Purpose, Ttl, session_request
from penstock.cli.connecting import Connection, Target
from penstock.cli.options import connection, with_target
from penstock.cli.screen import messages, shown
from penstock.cli.session_source import SignInGuard, holder, issued
from penstock.delivery import RenewingSession, SessionRequest
from penstock.delivery.child_environment import with_endpoint, with_session
from penstock.delivery.container_endpoint import ContainerEndpoint

_NOT_FOUND: Final = 127
_NOT_EXECUTABLE: Final = 126
_PASSED_ON: Final = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGWINCH", "SIGCONT")


@with_target
def execute(
    target: Target,
    *,
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="The program and its arguments.")],
    scope: Annotated[
        list[str] | None, typer.Option("--scope", metavar="ARN", help="What to reach; may be given several times.")
    ] = None,
    access: AccessOption = None,
    ttl: Ttl = None,
    purpose: Purpose = "",
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Renew the session while the program runs, by a loopback endpoint.")
    ] = False,
) -> None:
    """Run a program with an AWS session and no other AWS credentials; its exit code is this command's."""
    if not scope:
        raise typer.BadParameter("name what the program is to reach", param_hint="--scope")
    way = connection(target)
    request = session_request(scope, access=access, ttl=ttl, purpose=purpose)
    if refresh:
        raise typer.Exit(_run_with_endpoint(command, way, request))
    session = issued(way, request)
    _become(command, with_session(os.environ, session))


def _become(command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Become the program: signals and exit code are its own, and no process of ours is left."""
    sys.stdout.flush()
    sys.stderr.flush()
    _usual_signals()
    try:
        # SECURITY: no shell, and the secrets are in the environment, which other users cannot read; arguments they can.
        os.execvpe(command[0], list(command), dict(environment))  # noqa: S606 - running it is what was asked for
    except OSError as error:
        raise typer.Exit(_told(command[0], error)) from None


def _run_with_endpoint(command: Sequence[str], way: Connection, request: SessionRequest) -> int:
    guard = SignInGuard(way, holder(way))
    with way.open() as broker:
        renewing = RenewingSession(lambda: request.issue(broker), check=guard.check)
        region = renewing.current().region
        with ContainerEndpoint(renewing) as endpoint:
            return _run(command, with_endpoint(os.environ, endpoint.variables, region=region))


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    waiting: list[int] = []
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _: FrameType | None) -> None:
        if child is None:
            waiting.append(number)
        else:
            child.send_signal(number)

    for name in _PASSED_ON:
        signal.signal(getattr(signal, name), pass_on)
    # The terminal sends Ctrl-C to the program too; when it ends, this ends.
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        child = subprocess.Popen(list(command), env=dict(environment))  # noqa: S603 - what was asked for, by no shell
    except OSError as error:
        return _told(command[0], error)
    for number in waiting:
        child.send_signal(number)
    code = child.wait()
    return code if code >= 0 else 128 - code


def _usual_signals() -> None:
    for name in ("SIGPIPE", "SIGXFSZ"):
        # Python ignores these, and what is ignored stays so in the program.
        signal.signal(getattr(signal, name), signal.SIG_DFL)


def _told(program: str, error: OSError) -> int:
    messages().print(f"error: `{shown(program)}`: {error.strerror or type(error).__name__}", soft_wrap=True)
    return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE
