"""`penstock-server sync redshift` over a real policy and catalog, and a stand-in for the warehouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from penstock_server.cli.main import run
from support.redshift_stand_in import StandIn, redshift_stand_in

POLICY = """
version: 1
grants:
  - {name: login, principals: ["group:analysts"], resource: "redshift:analytics", permissions: [CONNECT]}
  - {name: jfk, principals: ["group:analysts"], resource: lake.nyc.flights, permissions: [SELECT],
      rows: "origin = 'JFK'"}
"""


@pytest.fixture(scope="module")
def warehouse() -> Iterator[StandIn]:
    with redshift_stand_in() as stand_in:
        stand_in.run("CREATE SCHEMA nyc", "CREATE TABLE nyc.flights (id integer, origin varchar(8))")
        yield stand_in


@pytest.fixture
def config(tmp_path: Path, warehouse: StandIn, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("REAPER_PASSWORD", "still-valid")
    (tmp_path / "lake" / "nyc").mkdir(parents=True)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "nyc.yaml").write_text(POLICY)
    (tmp_path / "keys.json").write_text('{"keys": []}')
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT 1 AS id, 'JFK' AS origin) TO '{tmp_path}/lake/nyc/flights.parquet' (FORMAT parquet)"
        )
    path = tmp_path / "penstock.yaml"
    path.write_text(f"""
identity: {{issuers: [{{issuer: "https://login.test", audience: penstock, jwks_file: keys.json}}]}}
policies: [policies/]
catalogs: {{lake: {{engine: duckdb, parquet: lake}}}}
credentials:
  aws: {{region: eu-west-1}}
  redshift:
    analytics: {{cluster_identifier: a, region: eu-west-1, database: postgres, host: 127.0.0.1,
      port: {warehouse.port}, identity: lease, enforcement: native, catalog: lake,
      reaper: {{user: penstock_reaper, password: "env:REAPER_PASSWORD", encrypted: false}}}}
""")
    return str(path)


def test_a_plan_prints_what_is_missing_and_what_stands_against_the_warehouse(
    config: str, warehouse: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse.run("GRANT CREATE ON SCHEMA nyc TO PUBLIC")
    assert run(["sync", "redshift", "analytics", "--config", config]) == 1
    lines = capsys.readouterr().out.splitlines()
    warehouse.run("REVOKE CREATE ON SCHEMA nyc FROM PUBLIC")
    assert any(line.startswith("-- ! no_create: CREATE on nyc is held by public") for line in lines)
    assert any(line.startswith('CREATE ROLE "pk_d_') for line in lines)
    assert lines[-1].startswith('GRANT SELECT ("id", "origin") ON "nyc"."flights" TO ROLE "pk_d_')
    assert not any(user.startswith("pk_d_") for user in warehouse.users_in())


def test_set_up_prints_a_statement_a_line(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sync", "redshift", "analytics", "--setup", "--config", config]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.endswith(";") and "\\n" not in line for line in lines)
    assert sum("SECURITY DEFINER" in line for line in lines) == 6


def test_to_apply_needs_somebody_who_may(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sync", "redshift", "analytics", "--apply", "--config", config]) == 1
    assert "--user" in capsys.readouterr().err
    assert run(["sync", "redshift", "nowhere", "--config", config]) == 1
