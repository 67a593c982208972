"""`penstock-server aws init`: roles, policies and a configuration to start from, for one account."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from penstock_server.aws.account import AccountReader
from penstock_server.aws.own_identity import clients_of_this_process
from penstock_server.cli.aws_setup.bundle import Form, SetUpFile, files
from penstock_server.cli.aws_setup.providers import RECIPES
from penstock_server.cli.aws_setup.wanted import Compute, Provider, ServedBucket, ServedCluster, SetUp, own_external_id
from penstock_server.cli.terminal import Terminal
from penstock_server.config.addresses import check_bucket
from penstock_server.errors import ConfigurationError
from penstock_server.model.decision import Access
from penstock_server.model.dynamodb import DynamoDbTarget, parse_target

_ACCOUNT: Final = re.compile(r"[0-9]{12}", re.ASCII)
_REGION: Final = re.compile(r"[a-z]{2,4}(-[a-z]+){1,3}-[0-9]{1,2}", re.ASCII)
_PREFIX: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,31}", re.ASCII)
_ROLE: Final = re.compile(r"arn:aws:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}", re.ASCII)
_KEY: Final = re.compile(r"arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{1,64}", re.ASCII)
_EXTERNAL_ID: Final = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
_DATABASE_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)
_CLUSTER: Final = re.compile(r"[a-z](-?[a-z0-9]){0,62}", re.ASCII)
_URL: Final = re.compile(r"https://[A-Za-z0-9._~:/%-]{1,500}", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z0-9._~:/@-]{1,200}", re.ASCII)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(name="aws", help="What Penstock needs of an AWS account.", no_args_is_help=True)
    group.callback()(_aws)
    group.command("init")(init)
    app.add_typer(group)


def _aws() -> None:
    """What Penstock needs of an AWS account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is asked of the account where no flag says it."""

    account: str | None
    region: str
    buckets: tuple[str, ...]
    keys: tuple[tuple[str, str], ...]
    cluster: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the account answered."""

    account: str | None
    keys: dict[str, str]
    database: str
    host: str
    port: int
    refused: tuple[str, ...]


def init(  # noqa: PLR0917 - typer: each is an option of the command line
    region: Annotated[str, typer.Option(help="Where the broker issues sessions.", metavar="REGION")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.", metavar="DIR")] = Path(
        "penstock-aws"
    ),
    form: Annotated[Form, typer.Option("--format", help="The form of the template.")] = Form.CLOUDFORMATION,
    account: Annotated[
        str | None, typer.Option(help="The account of the roles; default: the caller's.", metavar="DIGITS")
    ] = None,
    bucket: Annotated[
        list[str] | None,
        typer.Option(help="A bucket to serve; NAME=ACCOUNT where another account owns it.", metavar="NAME"),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(help="The KMS key of a bucket; default: as the bucket says.", metavar="BUCKET=ARN"),
    ] = None,
    table: Annotated[list[str] | None, typer.Option(help="A DynamoDB table to serve.", metavar="ARN")] = None,
    access: Annotated[list[Access] | None, typer.Option(help="What sessions may do at most.")] = None,
    cluster: Annotated[str | None, typer.Option(help="A Redshift cluster to log in to.", metavar="NAME")] = None,
    database: Annotated[str | None, typer.Option(help="Its database; default: as the cluster says.")] = None,
    database_group: Annotated[list[str] | None, typer.Option(help="A group that logins may join.")] = None,
    host: Annotated[str | None, typer.Option(help="Its host; default: as the cluster says.")] = None,
    compute: Annotated[Compute, typer.Option(help="Where the broker runs.")] = Compute.ECS,
    idp: Annotated[Provider, typer.Option(help="The identity provider.")] = Provider.OTHER,
    issuer: Annotated[str | None, typer.Option(help="Its issuer.", metavar="URL")] = None,
    audience: Annotated[str, typer.Option(help="What access tokens are for.")] = "penstock",
    prefix: Annotated[str, typer.Option(help="How every name begins.")] = "penstock",
    external_id: Annotated[
        str | None, typer.Option(help="Default: made from the account's number.", metavar="TEXT")
    ] = None,
    broker_role: Annotated[
        str | None,
        typer.Option(help="The broker's role in another account: then only a target role is made.", metavar="ARN"),
    ] = None,
    assume: Annotated[
        list[str] | None,
        typer.Option(help="A target role in another account, which the broker may assume too.", metavar="ARN"),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask AWS nothing: flags say everything.")] = False,
) -> None:
    """Write a template of the roles, a configuration, a policy and what else there is to do; overwrites nothing."""
    problems = _Problems()
    problems.match("--region", region, _REGION)
    problems.match("--prefix", prefix, _PREFIX)
    problems.match("--issuer", issuer, _URL)
    problems.match("--audience", audience, _WORD)
    problems.match("--account", account, _ACCOUNT)
    problems.match("--external-id", external_id, _EXTERNAL_ID)
    problems.match("--broker-role", broker_role, _ROLE)
    problems.match("--cluster", cluster, _CLUSTER)
    problems.match("--database", database, _DATABASE_NAME)
    problems.match("--host", host, _WORD)
    for name, values, pattern in (("--assume", assume, _ROLE), ("--database-group", database_group, _DATABASE_NAME)):
        for value in values or ():
            problems.match(name, value, pattern)
    owners = _owners(bucket or [], problems)
    keys = _keys(key or [], dict(owners), problems)
    tables = _tables(table or [], problems)
    problems.raise_if_any()
    asked = _Asked(
        account=account, region=region, buckets=tuple(dict(owners)), keys=tuple(keys.items()), cluster=cluster
    )
    known = _nothing(asked) if offline else asyncio.run(_ask(asked))
    found = account or known.account
    if found is None:
        raise ConfigurationError(("the account cannot be read; give its twelve digits with `--account`",))
    if broker_role is not None and broker_role.split(":")[4] == found:
        raise ConfigurationError((f"--broker-role: `{broker_role}` lies in this account; leave it out",))
    setup = SetUp(
        account=found,
        region=region,
        prefix=prefix,
        compute=compute,
        foreign_broker=broker_role,
        foreign_targets=tuple(sorted(set(assume or ()))),
        external_id=external_id or own_external_id(found, prefix),
        access=frozenset(access or (Access.READ, Access.LIST)),
        buckets=tuple(
            ServedBucket(name=name, account=owner or found, key={**known.keys, **keys}.get(name))
            for name, owner in sorted(dict(owners).items())
        ),
        tables=tuple(sorted(tables, key=str)),
        cluster=None
        if cluster is None
        else ServedCluster(
            identifier=cluster,
            database=database or known.database,
            host=host or known.host,
            port=known.port,
            groups=tuple(sorted(set(database_group or ()))),
        ),
        issuer=issuer or RECIPES[idp].issuer,
        audience=audience,
        provider=idp,
    )
    _require_something(setup)
    _write(output, files(setup, form), known.refused)


class _Problems:
    """What is wrong with flags, all at once."""

    def __init__(self) -> None:
        self._found: list[str] = []

    def add(self, option: str, value: str, what: str) -> None:
        """Note one."""
        self._found.append(f"{option}: `{value}` {what}")

    def match(self, option: str, value: str | None, pattern: re.Pattern[str]) -> None:
        """Note a value that has not the form."""
        if value is not None and pattern.fullmatch(value) is None:
            self.add(option, value, "has not the form that is needed")

    def raise_if_any(self) -> None:
        """Raise ConfigurationError where there is one."""
        if self._found:
            raise ConfigurationError(tuple(self._found))


def _owners(buckets: list[str], problems: _Problems) -> list[tuple[str, str]]:
    found = []
    for text in buckets:
        name, _, owner = text.partition("=")
        try:
            check_bucket(name)
        except ValueError as error:
            problems.add("--bucket", name, str(error))
        if owner:
            problems.match("--bucket", owner, _ACCOUNT)
        found.append((name, owner))
    return found


def _keys(keys: list[str], buckets: dict[str, str], problems: _Problems) -> dict[str, str]:
    found = {}
    for text in keys:
        name, _, arn = text.partition("=")
        problems.match("--key", arn, _KEY)
        if name not in buckets:
            problems.add("--key", name, "is no bucket that is served; name it with `--bucket`")
        found[name] = arn
    return found


def _tables(tables: list[str], problems: _Problems) -> set[DynamoDbTarget]:
    found = set()
    for text in tables:
        try:
            target = parse_target(text)
        except ValueError as error:
            problems.add("--table", text, str(error))
            continue
        if target.index is not None:
            problems.add("--table", text, "is an index; name its table")
        found.add(target)
    return found


def _nothing(asked: _Asked) -> _Known:
    host = f"{asked.cluster}.example.com" if asked.cluster else ""
    return _Known(account=None, keys={}, database="dev", host=host, port=5439, refused=())


async def _ask(asked: _Asked) -> _Known:
    """Ask the account what no flag says."""
    clients = clients_of_this_process(endpoint_url=None)
    reader = AccountReader(clients, region=asked.region)
    known = _nothing(asked)
    try:
        account = asked.account or await reader.account()
        given = dict(asked.keys)
        keys = {name: arn for name in asked.buckets if name not in given and (arn := await reader.bucket_key(name))}
        cluster = None if asked.cluster is None else await reader.cluster(asked.cluster)
    finally:
        clients.close()
    return _Known(
        account=account,
        keys=keys,
        database=known.database if cluster is None else cluster.database,
        host=known.host if cluster is None else cluster.host,
        port=known.port if cluster is None else cluster.port,
        refused=tuple(reader.refused),
    )


def _require_something(setup: SetUp) -> None:
    if not setup.buckets and not setup.tables:
        raise ConfigurationError(("nothing is to be served: name a `--bucket` or a `--table`",))
    for table in setup.tables:
        if table.account != setup.account:
            raise ConfigurationError((f"--table: `{table}` lies in another account than the roles",))
    for role in setup.foreign_targets:
        if role.split(":")[4] == setup.account:
            raise ConfigurationError((f"--assume: `{role}` lies in this account, whose role is made here",))


def _write(folder: Path, written: tuple[SetUpFile, ...], refused: tuple[str, ...]) -> None:
    existing = [str(folder / file.name) for file in written if (folder / file.name).exists()]
    if existing:
        raise ConfigurationError(
            tuple(f"{path}: exists already; remove it, or give another `--output`" for path in existing)
        )
    terminal = Terminal()
    for file in written:
        path = folder / file.name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if file.name.endswith("/"):
                path.mkdir()
                continue
            with path.open("x", encoding="utf-8") as opened:
                opened.write(file.text)
        except OSError as error:
            raise ConfigurationError((f"{path}: cannot be written: {error.strerror}",)) from error
        terminal.say(f"wrote {path}: {file.says}")
    for operation in refused:
        terminal.say(f"not known: {operation} was not answered; look at what was written, or give the flag")
    terminal.say()
    terminal.say("Next: read and deploy the template, fill in the configuration, then where the broker runs")
    terminal.say("  penstock-server doctor --aws", style="bold")
