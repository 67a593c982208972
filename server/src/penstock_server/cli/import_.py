"""`penstock-server import lakeformation|quicksight`: policy files from what AWS permits, with a report."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import typer

from penstock_server.aws.lake_formation import LakeFormation
from penstock_server.aws.own_identity import clients_of_this_process
from penstock_server.cli.options import DEFAULT_CONFIG, ConfigOption
from penstock_server.cli.private_engine import engine_of
from penstock_server.cli.terminal import Terminal
from penstock_server.config.loading import load
from penstock_server.config.principals import known_issuers, parse_selector
from penstock_server.config.settings import Settings
from penstock_server.errors import ConfigurationError
from penstock_server.importers.lakeformation import conversion as lake_formation
from penstock_server.importers.lakeformation.resources import Scope
from penstock_server.importers.lakeformation.saved import read_estate
from penstock_server.importers.outcome import Imported
from penstock_server.importers.principals import MappedPrincipal, read_mapping
from penstock_server.importers.quicksight import conversion as quicksight
from penstock_server.importers.quicksight.dataset import read_dataset
from penstock_server.importers.quicksight.sheet import read_sheet
from penstock_server.importers.report import print_report
from penstock_server.model.clock import SystemClock
from penstock_server.model.lake_formation import LakeEstate
from penstock_server.model.principal import KnownIssuers
from penstock_server.model.resource import fold
from penstock_server.model.schema import CatalogSnapshot, TableSchema
from penstock_server.policy.reading.cells import parse_one_table

DIFFERENT: Final = 1
"""Exit code where the policy would differ from what AWS permits; then only the report is written."""
INCOMPLETE: Final = 2
"""Exit code where something was not carried over."""

MappingOption = Annotated[
    Path, typer.Option(help="A file `principals:` of AWS principals and ours.", metavar="FILE", show_default=False)
]
OutputOption = Annotated[
    Path, typer.Option(help="The folder for policy files and report.", metavar="FOLDER", show_default=False)
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        name="import", help="Make policy files of what AWS permits, with a report.", no_args_is_help=True
    )
    group.command("lakeformation")(import_lakeformation)
    group.command("quicksight")(import_quicksight)
    app.add_typer(group)


def import_lakeformation(
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    answers: Annotated[
        Path | None, typer.Option(help="A folder of saved answers (JSON).", metavar="FOLDER", show_default=False)
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="Ask AWS in this region instead.", metavar="REGION", show_default=False)
    ] = None,
    account: Annotated[str, typer.Option(help="The account of the Glue catalog.", metavar="ID", show_default=False)],
    catalog: Annotated[str, typer.Option(help="The catalog that it is here.", metavar="NAME", show_default=False)],
    mapping: MappingOption,
    output: OutputOption,
) -> None:
    """Import grants, data cells filters and LF-tags: exit code 0 = all, 2 = something was left out, 1 = a problem."""
    if (answers is None) == (region is None):
        raise typer.BadParameter("give one of the two", param_hint="--answers / --region")
    world = _world(config, catalog)
    principals = read_mapping(mapping, world.issuers)
    scope = Scope(account=account, catalog=catalog, snapshot=world.snapshot)
    estate = read_estate(answers) if answers is not None else asyncio.run(_ask(region or "", scope))
    imported = lake_formation.convert(estate, scope, principals, world.issuers, at=SystemClock().now())
    _finish(imported, output, title="Import of Lake Formation")


def import_quicksight(
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    dataset: Annotated[Path, typer.Option(help="A saved DescribeDataSet answer.", metavar="FILE", show_default=False)],
    rules: Annotated[
        Path | None, typer.Option(help="The CSV of its rules dataset.", metavar="FILE", show_default=False)
    ] = None,
    table: Annotated[str, typer.Option(help="The table that it is here.", metavar="NAME", show_default=False)],
    reader: Annotated[
        list[str] | None,
        typer.Option(help="With whom it is shared, as a policy file says it.", metavar="WHO", show_default=False),
    ] = None,
    mapping: MappingOption,
    output: OutputOption,
    allow_deny: Annotated[
        bool, typer.Option("--allow-deny", help="Keep rules that deny (DENY_ACCESS) as they are.")
    ] = False,
) -> None:
    """Import row and column rules: exit code 0 = all, 2 = something was left out, 1 = a problem."""
    try:
        pattern = parse_one_table(table)
    except ValueError as error:
        raise typer.BadParameter(f"`{table}` {error}", param_hint="--table") from None
    world = _world(config, pattern.catalog)
    schema = next((each for each in world.snapshot.tables if pattern.matches(each.name)), None)
    if schema is None:
        raise ConfigurationError((f"there is no table `{table}` in the configured catalogs; correct `--table`",))
    target = quicksight.Target(
        schema=schema,
        snapshot=CatalogSnapshot(tables=_catalog(world.snapshot, schema)),
        readers=tuple(_reader(text, world.issuers) for text in reader or ()),
        allow_deny=allow_deny,
    )
    sheet = None if rules is None else read_sheet(rules)
    principals = read_mapping(mapping, world.issuers)
    imported = quicksight.convert(
        read_dataset(dataset), sheet, target, principals, world.issuers, at=SystemClock().now()
    )
    _finish(imported, output, title=f"Import of QuickSight: {schema.name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _World:
    """The tables of one catalog, and whom names in policies mean."""

    issuers: KnownIssuers
    snapshot: CatalogSnapshot


def _world(config: Path, catalog: str) -> _World:
    settings = load(config, environ=os.environ)
    catalogs = tuple(each for each in settings.catalogs if each.name == catalog)
    if not catalogs:
        raise ConfigurationError((f"there is no catalog `{catalog}` in {config}; give one of those under `catalogs`",))
    snapshot = asyncio.run(_snapshot(replace(settings, catalogs=catalogs)))
    return _World(issuers=known_issuers(settings.identity.issuers), snapshot=snapshot)


async def _snapshot(settings: Settings) -> CatalogSnapshot:
    async with engine_of(settings) as engine:
        return await engine.inspect()


def _catalog(snapshot: CatalogSnapshot, schema: TableSchema) -> tuple[TableSchema, ...]:
    return tuple(each for each in snapshot.tables if each.name.catalog == schema.name.catalog)


def _reader(text: str, issuers: KnownIssuers) -> MappedPrincipal:
    try:
        return MappedPrincipal(written=text, selector=parse_selector(text, issuers))
    except ValueError as error:
        raise typer.BadParameter(f"`{text}` {error}", param_hint="--reader") from None


async def _ask(region: str, scope: Scope) -> LakeEstate:
    # AWS: names in the Glue catalog are in lower case.
    tables = [(fold(schema.name.database), fold(schema.name.table)) for schema in scope.tables()]
    clients = clients_of_this_process(endpoint_url=None)
    try:
        return await LakeFormation(clients, region=region).estate(tables)
    finally:
        clients.close()


def _finish(imported: Imported, output: Path, *, title: str) -> None:
    """Write the report, and the policy if it is equal; then end with the exit code that says so."""
    # SECURITY: a policy that differs is never written: nobody should load it by mistake.
    files = () if imported.different else imported.files
    texts = [(f"{imported.name}.md", print_report(imported, title=title)), *((file.name, file.text) for file in files)]
    for name, _ in texts:
        if (output / name).exists():
            raise ConfigurationError((f"{output / name}: exists already; remove it, or give another `--output`",))
    terminal = Terminal()
    for name, text in texts:
        _write(output / name, text)
        terminal.say(f"wrote {output / name}")
    compared, different, left_out = len(imported.compared), len(imported.different), len(imported.left_out)
    terminal.say(f"compared {compared}, different {different}, not carried over {left_out}")
    if different:
        terminal.complain("the policy would differ from what AWS permits, so it was not written: see the report")
        raise typer.Exit(DIFFERENT)
    raise typer.Exit(INCOMPLETE if left_out else 0)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise ConfigurationError((f"{path}: cannot be written: {error.strerror}",)) from error
