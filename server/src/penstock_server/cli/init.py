"""`penstock-server init`: a configuration and a policy to start from, for a folder of Parquet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from penstock_server.cli.options import DEFAULT_CONFIG, ConfigOption
from penstock_server.cli.private_engine import inspect_catalogs
from penstock_server.cli.starter import starter_cases, starter_configuration, starter_policy
from penstock_server.cli.terminal import Terminal
from penstock_server.config.addresses import check_url
from penstock_server.config.catalogs_section import check_catalog_name
from penstock_server.config.principals import parse_selector
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.errors import ConfigurationError
from penstock_server.model.principal import KnownIssuers


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init")(init)


def init(
    *,
    folder: Annotated[
        Path, typer.Argument(help="A folder of <database>/<table>.parquet or <database>/<table>/*.parquet.")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    catalog: Annotated[str, typer.Option(help="What SQL calls the folder.", metavar="NAME")] = "lake",
    issuer: Annotated[
        str, typer.Option(help="The OpenID provider whose access tokens are accepted.", metavar="URL")
    ] = "https://login.example.com",
    audience: Annotated[str, typer.Option(help="What those tokens are for.")] = "penstock",
    group: Annotated[str, typer.Option(help="The group that may know which tables there are.")] = "analysts",
) -> None:
    """Write a starter configuration and policy; nothing that exists is overwritten."""
    _check("--catalog", catalog, check_catalog_name)
    _check("--issuer", issuer, check_url)
    _check("--group", group, _check_group)
    config = config.absolute()
    policy = config.parent / "policies" / "starter.yaml"
    cases = config.parent / "policy-tests" / "starter.yaml"
    for path in (config, policy, cases):
        if path.exists():
            raise ConfigurationError((f"{path}: exists already; remove it, or give another `--config`",))
    if not folder.is_dir():
        raise ConfigurationError((f"{folder}: is no folder",))
    settings = CatalogSettings(name=catalog, kind=CatalogKind.PARQUET, path=folder.resolve(), location=None)
    snapshot = asyncio.run(inspect_catalogs((settings,)))
    _write(config, starter_configuration(settings, base=config.parent, issuer=issuer, audience=audience))
    _write(policy, starter_policy(snapshot, catalog=catalog, group=group))
    terminal = Terminal()
    terminal.say(f"wrote {config}")
    terminal.say(f"wrote {policy}, for {len(snapshot.tables)} tables")
    if snapshot.tables:
        _write(cases, starter_cases(snapshot, group=group))
        terminal.say(f"wrote {cases}, which hold the policy to what it should do")
    terminal.say()
    terminal.say("Next: set identity.issuers in the one, grant in the other, then")
    terminal.say(f"  penstock-server check --config {config}", style="bold")
    terminal.say(f"  penstock-server policy test {cases} --config {config}", style="bold")
    terminal.say(f"  penstock-server serve --config {config}", style="bold")


def _check(option: str, value: str, accept: Callable[[str], None]) -> None:
    try:
        accept(value)
    except ValueError as error:
        raise typer.BadParameter(f"`{value}` {error}", param_hint=option) from None


def _check_group(name: str) -> None:
    parse_selector(f"group:{name}", KnownIssuers(default="", issuers=(), prefixes=()))


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigurationError((f"{path}: cannot be written: {error.strerror}",)) from error
