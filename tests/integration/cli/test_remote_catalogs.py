"""Catalogs on S3: `check` says that it has not looked, `policy validate` looks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support import engine_processes as processes
from support import object_lake

CONFIGURATION = """\
identity: {{issuers: [{{issuer: "https://login.test", audience: penstock, jwks_file: keys.json}}]}}
policies: [policy.yaml]
catalogs:
  lake:
    engine: duckdb
    s3: {{uri: "s3://{bucket}/curated", region: eu-west-1, endpoint_url: "{url}"}}
state: {{url: "sqlite:///var/penstock.db"}}
audit: {{path: var/audit}}
"""
POLICY = """\
version: 1
grants:
  - name: people-read-orders
    principals: ["group:people"]
    resource: lake.shop.{table}
    permissions: [SELECT]
    columns: {{include: [id]}}
"""


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [Path(sys.executable).with_name("penstock-server"), *arguments, "--config", "penstock.yaml"],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "AWS_ACCESS_KEY_ID": "ASIATEST",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_SESSION_TOKEN": "test",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_policy_over_tables_on_s3_is_validated_over_the_network_and_not_by_check(tmp_path: Path) -> None:
    processes.make_catalog(tmp_path / "data")
    (tmp_path / "keys.json").write_text('{"keys": []}')
    with object_lake.stand_in() as url, object_lake.lake(url) as lake:
        lake.fill(tmp_path / "data")
        (tmp_path / "penstock.yaml").write_text(CONFIGURATION.format(bucket=lake.bucket, url=url))
        (tmp_path / "policy.yaml").write_text(POLICY.format(table="orders"))
        code, told = run(tmp_path, "policy", "validate")
        assert code == 0, told
        (tmp_path / "policy.yaml").write_text(POLICY.format(table="nowhere"))
        code, told = run(tmp_path, "policy", "validate")
        assert code != 0
        assert "nowhere" in told
    _, told = run(tmp_path, "check")
    assert "catalog lake: its tables" in told
    assert "whether the policy fits the catalogs" in told
