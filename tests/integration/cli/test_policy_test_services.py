"""`penstock-server policy test` for items of DynamoDB and for resources that are named whole: as the door decides."""

from __future__ import annotations

from pathlib import Path

import pytest
from penstock_server.cli.main import run
from support.item_scopes import ORDERS
from support.service_scopes import STREAM, TABLE, WORKGROUP
from support.small_lake import write_world

POLICY = f"""\
version: 1
grants:
  - name: own-orders
    principals: [everyone]
    resource: "{ORDERS}"
    permissions: [READ]
    items: {{leading_keys: ["${{penstock:Username}}"]}}
  - {{name: clicks, principals: ["group:g"], resource: "{STREAM}", permissions: [READ], max_ttl: 30m}}
  - {{name: athena, principals: [everyone], resource: "{WORKGROUP}", permissions: [QUERY]}}
  - {{name: metadata, principals: [everyone], resource: "{TABLE}", permissions: [DESCRIBE]}}
"""
CASES = f"""\
version: 1
cases:
  - name: own items are read
    principal: {{user: u}}
    aws: {{resources: ["{ORDERS}"], access: [read]}}
    expect: {{access: allowed, grants: [own-orders]}}
  - name: and not written
    principal: {{user: u}}
    aws: {{resources: ["{ORDERS}"], access: [write]}}
    expect: {{access: denied}}
  - name: a stream is theirs for half an hour
    principal: {{user: u, groups: [g]}}
    aws: {{resources: ["{STREAM}"], access: [read]}}
    expect: {{access: allowed, grants: [clicks], max_ttl: 30m}}
  - name: and nobody else's
    principal: {{user: u}}
    aws: {{resources: ["{STREAM}"], access: [read]}}
    expect: {{access: denied}}
  - name: a workgroup is closed where a table is hidden
    principal: {{user: u}}
    aws: {{resources: ["{WORKGROUP}"], access: [read]}}
    expect: {{access: denied}}
  - name: metadata that the policy does not know is closed
    principal: {{user: u}}
    aws: {{resources: ["{TABLE}"], access: [read]}}
    expect: {{access: denied}}
"""


def test_cases_on_items_streams_and_engines_are_decided_as_at_the_door(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = write_world(tmp_path, port=50051, policy=POLICY)
    (tmp_path / "cases.yaml").write_text(CASES)
    code = run(["policy", "test", str(tmp_path / "cases.yaml"), "--config", str(world)])
    assert code == 0, capsys.readouterr().out
    assert "6 cases, all as expected" in capsys.readouterr().out
