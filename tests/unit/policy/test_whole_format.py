"""Every key of the format in one file: `tests/vectors/policy/whole_format.yaml`."""

from __future__ import annotations

from pathlib import Path

import yaml
from penstock_server.model.schema import CatalogSnapshot
from penstock_server.policy.binding import bind
from support.policies import load_policy, table

WHOLE = (Path(__file__).parents[2] / "vectors" / "policy" / "whole_format.yaml").read_text()
RULES = "UserName,GroupName,origin\n,analysts,JFK\n"
TABLES = (
    table(
        "lake.nyc.flights",
        {"year": "INTEGER", "month": "INTEGER", "origin": "VARCHAR", "tailnum": "VARCHAR", "dep_delay": "INTEGER"},
        location="acme-lake/nyc/flights/",
    ),
    table("lake.nyc.planes", {"tailnum": "VARCHAR"}),
)


def test_a_file_with_every_key_is_loaded_and_nothing_of_it_is_dropped(tmp_path: Path) -> None:
    written = yaml.safe_load(WHOLE)
    source = load_policy(tmp_path, WHOLE, rules=RULES)
    bind(source, CatalogSnapshot(tables=TABLES), logins=frozenset({"analytics"}))
    grants = (source.table_grants, source.s3_grants, source.dynamodb_grants, source.redshift_grants)
    assert [grant.name for kind in grants for grant in kind] == [grant["name"] for grant in written["grants"]]
    assert {mask.name for mask in source.masks} == set(written["masks"])
    assert {named.name for named in source.filters} == set(written["filters"])
    assert [rules.name for rules in source.row_rules] == ["regions"]
    assert len(source.tags) == len(written["tagged"])
    assert len(source.column_rules) == len(written["column_rules"])
    assert len(source.table_denials) == len(written["denials"])
    first = source.table_grants[0]
    assert first.conditions is not None
    assert len(first.conditions.conditions) == 2
    assert first.expires is not None
    assert {one.value for one in first.requires} == set(written["grants"][0]["requires"])
