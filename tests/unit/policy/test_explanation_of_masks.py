"""A filter on a column that it shows masked is explained without the column's name and value."""

from __future__ import annotations

from pathlib import Path

import pytest
from penstock_server.model.explanation import ExplanationNode
from penstock_server.model.request import RequestFacts
from penstock_server.policy.explanation.for_callers import explain
from support.policies import NOW, bind_policy, principal, table

POLICY = """\
version: 1
masks:
  hidden: {{rank: 1, builtin: redact}}
grants:
  - name: g
    principals: [everyone]
    resource: lake.db.people
    permissions: [SELECT]
    {columns}
    rows: "phone = '5551234'"
    {masks}
"""


def sentences(node: ExplanationNode) -> list[str]:
    return [node.sentence, *(sentence for child in node.children for sentence in sentences(child))]


@pytest.mark.parametrize("columns", ["", "columns: {include: [id, phone]}"])
@pytest.mark.parametrize(("masks", "told"), [("masks: {phone: hidden}", False), ("masks: {id: hidden}", True)])
def test_the_value_of_a_masked_column_is_not_told(tmp_path: Path, columns: str, masks: str, told: bool) -> None:
    text = POLICY.format(columns=columns, masks=masks)
    policy = bind_policy(tmp_path, text, table("lake.db.people", {"id": "INTEGER", "phone": "VARCHAR"}))
    tree = explain(
        policy, principal(), ("lake", "db", "people"), default_catalog=None, facts=RequestFacts.of_instant(NOW)
    )
    assert any("5551234" in sentence for sentence in sentences(tree)) is told
