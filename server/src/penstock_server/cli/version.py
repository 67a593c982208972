"""`penstock-server version`."""

from __future__ import annotations

import platform
from importlib.metadata import version as version_of

import typer

from penstock_server.cli.terminal import Terminal


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("version")(version)


def version() -> None:
    """Print the versions of this server and of what it stands on."""
    terminal = Terminal()
    terminal.say(f"penstock-server {version_of('penstock-server')}")
    terminal.say(f"DuckDB {version_of('duckdb')}, gRPC {version_of('grpcio')}, Python {platform.python_version()}")
