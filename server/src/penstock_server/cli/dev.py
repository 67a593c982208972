"""`penstock-server dev`: everything on this machine, for a person to play with."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated, Final

import typer

from penstock_server.cli.terminal import Terminal
from penstock_server.errors import ConfigurationError

_DEFAULT_FOLDER: Final = Path("penstock-dev")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("dev")(dev)


def dev(
    *,
    folder: Annotated[
        Path,
        typer.Option(help="Where the sample files go; what is there already is kept.", metavar="FOLDER"),
    ] = _DEFAULT_FOLDER,
) -> None:
    """Run a broker with sample data, an OpenID provider and a stand-in for AWS, until Ctrl-C."""
    try:
        from penstock_server.dev.environment import STANDARD_PORTS, LocalEnvironment  # noqa: PLC0415 - the extra `dev`
    except ModuleNotFoundError as error:
        problem = f"`{error.name}` is not installed: pip install 'penstock-server[dev]'"
        raise ConfigurationError((problem,)) from error
    terminal = Terminal()
    terminal.say(f"starting in {folder}/ ...", style="dim")
    # A service manager's TERM ends this command as Ctrl-C does: everything that it started is stopped.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with LocalEnvironment(folder, STANDARD_PORTS) as local:
            _tell(terminal, local.address, folder)
            code = local.wait()
            raise ConfigurationError((f"the server ended with {code}; see {local.log}",))
    except OSError as error:
        raise ConfigurationError(
            (f"cannot start: {error.strerror}; is another `penstock-server dev` running?",)
        ) from error
    except KeyboardInterrupt:
        terminal.say("stopped")


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _tell(terminal: Terminal, address: str, folder: Path) -> None:
    terminal.say("Penstock is running on this machine; AWS is a stand-in that never denies.", style="bold")
    terminal.say("Three commands to try in another terminal; choose alice or bob on the page that opens:")
    query = "select origin, count(*) as flights from nyc.flights group by origin order by origin"
    for command in (
        f"penstock login {address} --profile alice",
        f"penstock login {address} --profile bob",
        f'penstock query --profile alice "{query}"     # then the same with --profile bob',
    ):
        terminal.say(f"  {command}", style="cyan")
    terminal.say(f"Policies are in {folder}/policies; a change counts after two seconds. Ctrl-C stops everything.")
