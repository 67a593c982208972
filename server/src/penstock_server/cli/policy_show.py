"""`penstock-server policy show --as user:alice`: what somebody sees, and which grants did it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from penstock_server.broker.loading import redshift_logins
from penstock_server.broker.table_names import parse_table_name
from penstock_server.cli.described_principals import described_principal, grouped, parse_address, parse_attribute
from penstock_server.cli.options import DEFAULT_CONFIG, ConfigOption
from penstock_server.cli.policy_loading import load_from
from penstock_server.cli.principal_view import PrincipalView, TableView, view_of
from penstock_server.cli.terminal import Terminal
from penstock_server.config.loading import load
from penstock_server.config.principals import known_issuers
from penstock_server.config.quantities import print_duration
from penstock_server.credentials.explanation import explain_target_for_administrator, read_target
from penstock_server.model.clock import SystemClock
from penstock_server.model.explanation import ExplanationNode
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.explanation.for_administrators import explain_for_administrator
from penstock_server.policy.reading.fields import parse_instant
from penstock_server.query.requests import OtherPrincipal

T = TypeVar("T")


class Format(StrEnum):
    """How it is printed."""

    TEXT = "text"
    JSON = "json"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("show")(show)


def show(
    table: Annotated[str | None, typer.Argument(help="Explain this table or ARN alone.", show_default=False)] = None,
    *,
    who: Annotated[str, typer.Option("--as", help="user:NAME, or user:ISSUER|SUB.", metavar="PRINCIPAL")],
    groups: Annotated[
        list[str] | None, typer.Option("--group", help="A group, as tokens name it; may be repeated.", metavar="NAME")
    ] = None,
    attributes: Annotated[
        list[str] | None, typer.Option("--attribute", help="A claim; may be repeated.", metavar="NAME=VALUE")
    ] = None,
    address: Annotated[str, typer.Option("--from", help="The caller's IP address.", metavar="IP")] = "",
    at: Annotated[str | None, typer.Option(help="Another instant than now.", metavar="INSTANT")] = None,
    policy: Annotated[
        list[Path] | None,
        typer.Option(help="Another policy than the configuration's; may be repeated.", exists=True, metavar="PATH"),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    form: Annotated[Format, typer.Option("--format", help="How it is printed.")] = Format.TEXT,
) -> None:
    """Show what somebody sees: tables, columns, masks, rows in words, S3 scopes and logins, and by which grants.

    Exit code 0 if it could be told, 1 if something is wrong with the configuration or the policy, or there is no such
    table.
    """
    settings = load(config, environ=os.environ)
    instant = SystemClock().now() if at is None else _read("--at", at, parse_instant)
    source_address = _read("--from", address, parse_address) if address else ""
    pairs = [_read("--attribute", text, parse_attribute) for text in attributes or ()]

    def described(text: str) -> OtherPrincipal:
        return described_principal(
            text,
            known_issuers(settings.identity.issuers),
            groups=groups or (),
            attributes=grouped(pairs),
            source_address=source_address,
            at=instant,
        )

    other = _read("--as", who, described)
    bound = asyncio.run(load_from(settings, tuple(policy or settings.policies))).bound
    terminal = Terminal()
    if table is not None:
        _explain(bound, other, table, terminal, form=form, at=instant)
        return
    view = view_of(bound, other.principal, facts=other.facts(instant), logins=redshift_logins(settings))
    if form is Format.JSON:
        _print_json(_as_json(view), terminal)
        return
    _print(view, terminal)
    terminal.say_parts([("policy version ", ""), (bound.version, "bold")])


def _read(option: str, text: str, read: Callable[[str], T]) -> T:
    try:
        return read(text)
    except ValueError as error:
        raise typer.BadParameter(f"`{text}` {error}", param_hint=option) from None


def _explain(
    policy: BoundPolicy, other: OtherPrincipal, table: str, terminal: Terminal, *, form: Format, at: datetime
) -> None:
    facts = other.facts(at)
    target = read_target("table", table)
    if target is None:
        parts = parse_table_name("table", table)
        tree = explain_for_administrator(policy, other.principal, parts, default_catalog=None, facts=facts)
    else:
        tree = explain_target_for_administrator(policy, other.principal, target, facts=facts)
    if form is Format.JSON:
        _print_json(dataclasses.asdict(tree), terminal)
        return
    _print_tree(tree, terminal, depth=0)


def _print_tree(node: ExplanationNode, terminal: Terminal, *, depth: int) -> None:
    terminal.say_parts([("  " * depth, ""), (f"{node.verdict.value:<15}", "bold"), (node.sentence, "")])
    for child in node.children:
        _print_tree(child, terminal, depth=depth + 1)


def _print(view: PrincipalView, terminal: Terminal) -> None:
    for table in view.tables:
        _print_table(table, terminal)
    for scope in view.s3:
        terminal.say_parts([(scope.arn, "bold"), (f"  {', '.join(scope.permissions)}", "green")])
        _line(terminal, "by", scope.grant)
        _line(terminal, "at most", "" if scope.max_ttl is None else print_duration(scope.max_ttl))
        _line(terminal, "until", _instant(scope.until))
    for denial in (*view.s3_denials, *view.items_denials, *view.service_denials):
        terminal.say_parts([(denial.arn, "bold"), (f"  denied {', '.join(denial.permissions)}", "red")])
    for items in view.items:
        terminal.say_parts([(items.arn, "bold"), (f"  {', '.join(items.permissions)}", "green")])
        _line(terminal, "keys", "all" if items.leading_keys is None else ", ".join(items.leading_keys))
        _line(terminal, "names", "all" if items.attributes is None else ", ".join(items.attributes))
        _line(terminal, "by", items.grant)
        _line(terminal, "at most", "" if items.max_ttl is None else print_duration(items.max_ttl))
        _line(terminal, "until", _instant(items.until))
    for service in view.services:
        terminal.say_parts([(service.arn, "bold"), (f"  {', '.join(service.permissions)}", "green")])
        for name, values in service.limits:
            _line(terminal, "where", f"{name} is {' or '.join(values)}")
        _line(terminal, "by", service.grant)
        _line(terminal, "at most", "" if service.max_ttl is None else print_duration(service.max_ttl))
        _line(terminal, "until", _instant(service.until))
    for login in view.logins:
        terminal.say_parts([(f"redshift:{login.name}", "bold"), ("  CONNECT", "green")])
        _line(terminal, "groups", ", ".join(login.database_groups))
        _line(terminal, "by", ", ".join(login.grants))
        _line(terminal, "at most", "" if login.max_ttl is None else print_duration(login.max_ttl))
        _line(terminal, "until", _instant(login.until))
    if not (view.tables or view.s3 or view.items or view.services or view.logins):
        terminal.say("nothing at all")


def _print_table(table: TableView, terminal: Terminal) -> None:
    style = "green" if table.access == "SELECT" else "yellow"
    terminal.say_parts([(table.name, "bold"), (f"  {table.access}", style)])
    columns = []
    for column in table.columns:
        marks = [f"mask {column.mask}"] if column.mask else []
        marks += ["NULL on some rows"] if column.partly_null else []
        columns.append(f"{column.name} ({', '.join(marks)})" if marks else column.name)
    _line(terminal, "columns", ", ".join(columns))
    _line(terminal, "rows", "all" if table.rows == "TRUE" else table.rows)
    _line(terminal, "rules", ", ".join(table.row_rules))
    _line(terminal, "by", ", ".join(table.grants))
    _line(terminal, "files", "credentials are granted" if table.files else "")
    _line(terminal, "until", _instant(table.until))
    _line(terminal, "because", table.reason)


def _line(terminal: Terminal, name: str, text: str) -> None:
    if text:
        terminal.say_parts([(f"  {name:<8} ", "dim"), (text, "")])


def _instant(instant: datetime | None) -> str:
    return "" if instant is None else instant.isoformat().replace("+00:00", "Z")


def _as_json(view: PrincipalView) -> dict[str, Any]:
    return dataclasses.asdict(view)


def _print_json(value: dict[str, Any], terminal: Terminal) -> None:
    for line in json.dumps(value, indent=2, default=_json_value).splitlines():
        terminal.raw(line)


def _json_value(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return print_duration(value) if isinstance(value, timedelta) else str(value)
