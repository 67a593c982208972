"""`penstock-server sync redshift`: what a warehouse lacks so that it enforces the policy itself, and says it there."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from penstock_server.broker.loading import LoadedPolicy
from penstock_server.broker.warehouses import warehouse_connection
from penstock_server.cli.options import DEFAULT_CONFIG, ConfigOption
from penstock_server.cli.policy_loading import load_from
from penstock_server.cli.terminal import Terminal
from penstock_server.config.loading import load
from penstock_server.config.principals import known_issuers, parse_selector
from penstock_server.config.secrets import SecretReferences
from penstock_server.config.settings import NativeSettings, ReaperSettings, RedshiftSettings, Settings
from penstock_server.credentials.native_subjects import roles_of_login, subject_of
from penstock_server.credentials.warehouse_proof import Ground, failures, governed_tables, role_failures
from penstock_server.engines.redshift.catalogs import queries, read_facts
from penstock_server.engines.redshift.connection import WarehouseAddress, WarehouseConnection
from penstock_server.engines.redshift.setup import setup_statements
from penstock_server.engines.redshift.sync import missing_statements
from penstock_server.errors import ConfigurationError
from penstock_server.model.native import NativeRole, NotNativeError
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts

redshift_app = typer.Typer(no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.add_typer(redshift_app, name="sync", help="Keep what enforces the policy itself in step with it.")


@redshift_app.callback()
def _sync() -> None:
    """Keep what enforces the policy itself in step with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What a command works on."""

    login: RedshiftSettings
    native: NativeSettings
    reaper: ReaperSettings
    loaded: LoadedPolicy
    roles: tuple[NativeRole, ...]
    refused: tuple[str, ...]


@redshift_app.command("redshift")
def redshift(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The configured name of the login.")],
    apply: Annotated[bool, typer.Option("--apply/--plan", help="Run the statements, or only print them.")] = False,
    setup: Annotated[bool, typer.Option("--setup", help="Print what a superuser runs once, and end.")] = False,
    person: Annotated[
        list[str] | None,
        typer.Option(help="A person too who is several at once: `group:a,group:b` or `user:NAME,group:a`."),
    ] = None,
    user: Annotated[str, typer.Option(help="Who applies: a user with `sys:secadmin` that owns the tables.")] = "",
    password: Annotated[str, typer.Option(help="A reference to their password: `env:NAME` or `file:/path`.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Print or apply the statements that are missing: exit code 1 where something stands against the warehouse."""
    settings = load(config, environ=os.environ)
    login, native, reaper = _login(settings, name)
    terminal = Terminal()
    if setup:
        statements = setup_statements(prefix=login.user_prefix, reaper=reaper.user, queries=queries(reaper.user))
        _print(terminal, statements)
        return
    if apply and not (user and password):
        raise ConfigurationError(("--apply: needs `--user` and `--password`; the reaper may change nothing",))
    found = asyncio.run(_run(settings, login, native, reaper, tuple(person or ()), (user, password) if apply else None))
    for line in found:
        terminal.say(line)
    if any(line.startswith("-- !") for line in found):
        raise typer.Exit(1)


async def _run(  # noqa: PLR0917 - the parts of one command
    settings: Settings,
    login: RedshiftSettings,
    native: NativeSettings,
    reaper: ReaperSettings,
    people: tuple[str, ...],
    applies: tuple[str, str] | None,
) -> list[str]:
    loaded = await load_from(settings, settings.policies)
    extra = _people(settings, people)
    at = datetime.now(UTC)
    roles, refused = roles_of_login(loaded.bound, login, extra, facts=RequestFacts.of_instant(at))
    work = _Work(login=login, native=native, reaper=reaper, loaded=loaded, roles=roles, refused=refused)
    secrets = SecretReferences(os.environ)
    connection = warehouse_connection(login, secrets=secrets)
    try:
        statements, against = await _look(work, connection)
        if applies is not None and statements:
            await _apply(work, secrets, applies, statements)
            # What the catalogs say now counts, not what was sent.
            statements, against = await _look(work, connection)
    finally:
        await connection.close()
    return [
        *(f"-- ! not native: {text}" for text in work.refused),
        *(f"-- ! {text}" for text in against),
        *(f"{statement};" for statement in statements),
        *(() if statements or against or work.refused else ("-- the warehouse enforces the policy",)),
    ]


async def _look(work: _Work, connection: WarehouseConnection) -> tuple[tuple[str, ...], list[str]]:
    """Give what is missing, and what stands against the warehouse that no statement of ours mends."""
    facts = await read_facts(connection)
    governed = governed_tables(work.loaded.bound, work.native.catalog)
    ground = Ground(
        facts=facts,
        prefix=work.login.user_prefix,
        open_schemas=frozenset(work.native.open_schemas),
        governed=governed,
    )
    try:
        statements = missing_statements(work.roles, facts, governed=governed)
    except NotNativeError as error:
        return (), [str(error)]
    against = [f"{one.check}: {one.found}" for one in failures(ground)]
    if not statements:
        against += [f"{one.check}: {one.found}" for role in work.roles for one in role_failures(role, ground)]
    return statements, against


async def _apply(work: _Work, secrets: SecretReferences, applies: tuple[str, str], statements: tuple[str, ...]) -> None:
    user, password = applies
    connection = WarehouseConnection(
        WarehouseAddress(
            host=work.login.host,
            port=work.login.port,
            database=work.login.database,
            user=user,
            password=lambda: secrets.resolve(password),
            encrypted=work.reaper.encrypted,
        )
    )
    try:
        await connection.execute(*statements)
    finally:
        await connection.close()


def _login(settings: Settings, name: str) -> tuple[RedshiftSettings, NativeSettings, ReaperSettings]:
    login = next((found for found in settings.credentials.redshift if found.name == name), None)
    if login is None:
        raise ConfigurationError((f"credentials.redshift.{name}: is not configured",))
    if login.native is None or login.reaper is None:
        raise ConfigurationError((f"credentials.redshift.{name}: has no `enforcement: native`",))
    return login, login.native, login.reaper


def _people(settings: Settings, texts: tuple[str, ...]) -> tuple[Principal, ...]:
    issuers = known_issuers(settings.identity.issuers)
    at = datetime.now(UTC)
    try:
        return tuple(
            subject_of(
                [parse_selector(part.strip(), issuers) for part in text.split(",")],
                at=at,
                until=at + timedelta(hours=1),
            )
            for text in texts
        )
    except ValueError as error:
        raise ConfigurationError((f"--person: {error}",)) from error


def _print(terminal: Terminal, statements: tuple[str, ...]) -> None:
    for statement in statements:
        # One line each: the terminal shows line breaks as such, and no statement needs one.
        terminal.say(f"{' '.join(statement.splitlines())};")
