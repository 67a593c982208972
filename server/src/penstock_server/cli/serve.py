"""`penstock-server serve`: becomes the supervisor."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import Annotated, Final

import typer

from penstock_server import supervisor
from penstock_server.cli.options import DEFAULT_CONFIG, ConfigOption
from penstock_server.config.loading import load
from penstock_server.config.overrides import Override
from penstock_server.service.logs import configure_logs

DRAIN: Final = timedelta(seconds=28)
"""How long the front may take to end: longer than it lets calls go on, shorter than Kubernetes waits (30 s)."""

FRONT: Final = (sys.executable, "-P", "-m", "penstock_server.service.front")
"""The front's command, to which the configuration is added.

SECURITY: `-P` keeps the working directory, where anybody may have put a module, off the import path.
"""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(serve)


def serve(
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    listen: Annotated[
        str | None, typer.Option(help="Listen here instead of `server.listen`.", metavar="IP:PORT", show_default=False)
    ] = None,
) -> None:
    """Serve until SIGTERM; logs are JSON lines on standard error."""
    arguments = [] if listen is None else [f"server.listen={listen}"]
    flags = [] if listen is None else [Override(path=("server", "listen"), value=listen, source="--listen")]
    # What is wrong with the file is said here, before any process is started.
    settings = load(config, environ=os.environ, flags=flags)
    configure_logs()
    raise typer.Exit(supervisor.run([*FRONT, str(settings.source), *arguments], drain=DRAIN))
