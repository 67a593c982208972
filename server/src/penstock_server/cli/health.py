"""`penstock-server health`: the health check of a container."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from penstock_server.cli.options import DEFAULT_CONFIG, ConfigOption
from penstock_server.cli.terminal import Terminal
from penstock_server.config.addresses import parse_listen
from penstock_server.config.loading import load
from penstock_server.config.settings import ServerSettings
from penstock_server.service.health import BARRIERS, POLICY_FILES
from penstock_server.service.health_client import is_serving


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("health")(health)


def health(
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    address: Annotated[
        str | None,
        typer.Option(help="Ask this server, in plain text, and read no file.", metavar="IP:PORT", show_default=False),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.", min=0.1, max=60.0)] = 3.0,
) -> None:
    """Ask whether the server serves: exit code 0 if it does, 1 if not."""
    server = load(config, environ=os.environ).server if address is None else _server_at(address)
    terminal = Terminal()
    if not is_serving(server, service="", timeout_seconds=timeout):
        terminal.complain(f"not serving at {server.listen}")
        raise typer.Exit(1)
    terminal.say(f"serving at {server.listen}")
    held = [
        barrier.value for barrier, name in BARRIERS.items() if is_serving(server, service=name, timeout_seconds=timeout)
    ]
    terminal.say(f"barriers: {', '.join(held) or 'not known'}")
    if not is_serving(server, service=POLICY_FILES, timeout_seconds=timeout):
        # No reason to end the container: it serves, and would not start again with these files.
        terminal.complain("the policy files cannot be loaded, so the policy from before them decides; the log says why")


def _server_at(address: str) -> ServerSettings:
    try:
        listen, _ = parse_listen(address)
    except ValueError as error:
        raise typer.BadParameter(f"`{address}` {error}", param_hint="--address") from None
    return ServerSettings(listen=listen, tls=None, reflection=False)
