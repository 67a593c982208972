"""`penstock-server policy show`: what somebody sees, by the evaluator that serves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from penstock_server.cli.described_principals import described_principal
from penstock_server.cli.main import run
from penstock_server.cli.policy_loading import load_from
from penstock_server.cli.principal_view import PrincipalView, TableView, view_of
from penstock_server.config.loading import load
from penstock_server.config.principals import known_issuers
from support.small_lake import POLICY, write_world

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
MORE = """\
  - name: own-carrier
    principals: ["user:erin"]
    resource: lake.nyc.flights
    permissions: [SELECT]
    columns: {include: [flight, carrier]}
    rows: "carrier IN :user.attributes.carrier"
  - name: office-only
    principals: ["user:erin"]
    resource: lake.nyc.weather
    permissions: [SELECT]
    conditions: {IpAddress: {"penstock:SourceIp": ["10.0.0.0/8"]}}
  - name: files
    principals: ["group:analysts"]
    resource: "arn:aws:s3:::acme/exports/*"
    permissions: [READ, LIST]
    max_ttl: 30m
    expires: 2027-01-01T00:00:00Z
denials:
  - {resource: "arn:aws:s3:::acme/exports/private/*", except_principals: ["group:ops"], permissions: [READ]}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("world"), port=50051, policy=POLICY + MORE)


def show(world: Path, *arguments: str) -> int:
    return run(["policy", "show", *arguments, "--config", str(world)])


def test_tables_columns_masks_rows_and_grants_are_shown(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(world, "--as", "user:alice", "--group", "analysts", "--at", "2026-06-01T12:00:00Z") == 0
    told = capsys.readouterr().out
    assert (
        "lake.nyc.flights  SELECT\n"
        "  columns  flight, origin, carrier, tail (mask hidden-tail)\n"
        "  rows     origin = 'JFK'\n"
        "  by       analysts-read-flights\n"
    ) in told
    assert "lake.nyc.weather  DESCRIBE\n  columns  hour, temperature\n  because  you may know" in told
    assert "salaries" not in told
    assert (
        "arn:aws:s3:::acme/exports/*  LIST, READ\n  by       files\n  at most  30m\n  until    2027-01-01T00:00:00Z\n"
    ) in told
    assert "arn:aws:s3:::acme/exports/private/*  denied READ" in told


def views(world: Path) -> Callable[..., PrincipalView]:
    """Give a function that shows without another look at the catalogs."""
    settings = load(world, environ={})
    policy = asyncio.run(load_from(settings, settings.policies)).bound

    def view(who: str, *, at: datetime = NOW, **described: Any) -> PrincipalView:
        told: dict[str, Any] = {"groups": (), "attributes": (), "source_address": "", **described}
        other = described_principal(who, known_issuers(settings.identity.issuers), at=at, **told)
        return view_of(policy, other.principal, facts=other.facts(at), logins=())

    return view


def test_groups_attributes_addresses_and_instants_count(world: Path) -> None:
    view = views(world)

    def tables(**described: Any) -> dict[str, TableView]:
        return {table.name: table for table in view("user:erin", **described).tables}

    assert set(tables()) == {"lake.nyc.airlines", "lake.nyc.flights"}
    assert tables()["lake.nyc.flights"].rows == "a value of yours that is missing would be needed"
    carriers = (("carrier", ("AA", "UA")),)
    assert tables(attributes=carriers)["lake.nyc.flights"].rows == "carrier IN ('AA', 'UA')"
    assert "lake.nyc.weather" in tables(source_address="10.1.2.3")
    assert "lake.nyc.weather" not in tables(source_address="11.1.2.3")
    both = tables(groups=("analysts",), attributes=carriers)["lake.nyc.flights"]
    assert both.grants == ("analysts-read-flights", "own-carrier")
    assert [column.name for column in both.columns if column.partly_null] == ["origin", "tail"]
    assert len(view("user:alice", groups=("analysts",)).s3) == 1
    assert view("user:alice", groups=("analysts",), at=datetime(2027, 1, 1, tzinfo=UTC)).s3 == ()


def test_one_table_is_explained(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(world, "nyc.flights", "--as", "user:mallory") == 0
    told = capsys.readouterr().out
    assert "refused" in told
    assert "analysts-read-flights" in told
    assert show(world, "nyc.nowhere", "--as", "user:mallory") == 1
    assert "there is no table `nyc.nowhere`" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--as", "alice"),
        ("--as", "group:analysts"),
        ("--as", "everyone"),
        ("--as", "user:https://elsewhere|7"),
        ("--as", "user:a", "--at", "2026-06-01"),
        ("--as", "user:a", "--attribute", "x"),
        ("--as", "user:a", "--from", "localhost"),
    ],
)
def test_a_description_that_means_nobody_is_wrong_usage(
    world: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert show(world, *arguments) == 2
    assert f"Invalid value for {arguments[-2]}: " in capsys.readouterr().err


def test_another_policy_may_be_shown_as_json(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(POLICY)
    assert show(world, "--as", "user:erin", "--policy", str(other), "--format", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [(table["name"], table["rows"]) for table in told["tables"]] == [("lake.nyc.airlines", "TRUE")]
    assert (told["s3"], told["s3_denials"], told["logins"]) == ([], [], [])


def test_an_arn_is_explained_for_somebody(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arn = "arn:aws:kinesis:eu-west-1:111122223333:stream/clicks"
    assert show(world, arn, "--as", "user:alice") == 0
    told = capsys.readouterr().out
    assert f"`{arn}` before `alice`" in told
    assert f"no grant on `{arn}` names you" in told
