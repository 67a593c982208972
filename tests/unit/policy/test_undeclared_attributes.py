"""A slip in the name of an attribute is told to whoever checks the policy."""

from __future__ import annotations

from pathlib import Path

from penstock_server.policy.reading.files import load
from penstock_server.policy.review import policy_warnings
from penstock_server.policy.undeclared_attributes import attribute_warnings
from support.policies import ISSUERS, write_policies

POLICY = """
version: 1
filters:
  own: {resource: lake.db.t, rows: "i = 1 AND NOT (s IN :user.attributes.departmen)"}
grants:
  - {name: a, principals: [everyone], resource: lake.db.t, permissions: [SELECT], rows: "s = :user.attributes.depart"}
  - name: b
    principals: [everyone]
    resource: lake.db.t
    permissions: [SELECT]
    conditions:
      StringNotEquals: {"penstock:PrincipalTag/Team": x, "penstock:PrincipalTag/Depart": x}
      StringEquals: {"penstock:Purpose": "${penstock:PrincipalTag/site}"}
      "Null": {"penstock:PrincipalTag/floor": "true"}
  - name: c
    principals: [everyone]
    resource: "arn:aws:s3:::acme/*"
    permissions: [READ]
    conditions: {StringLike: {"penstock:PrincipalTag/team": x}}
""".lstrip()


def told(tmp_path: Path, *declared: str) -> list[str]:
    policies = write_policies(tmp_path, {"policy.yaml": POLICY})
    found = attribute_warnings(load((policies,), ISSUERS), frozenset(declared))
    return [warning.replace(f"{policies}/", "") for warning in found]


def test_every_attribute_that_no_issuer_has_is_told_once_with_its_place(tmp_path: Path) -> None:
    why = "under `attribute_claims`, so"
    assert told(tmp_path, "depart") == [
        f"policy.yaml:3: no issuer has `departmen` {why} `:user.attributes.departmen` has no value for anybody; "
        "did you mean `depart`?",
        f"policy.yaml:6: no issuer has `team` {why} `penstock:PrincipalTag/team` has no value for anybody",
        f"policy.yaml:6: no issuer has `site` {why} `penstock:PrincipalTag/site` has no value for anybody",
        f"policy.yaml:6: no issuer has `floor` {why} `penstock:PrincipalTag/floor` has no value for anybody",
        f"policy.yaml:14: no issuer has `team` {why} `penstock:PrincipalTag/team` has no value for anybody",
    ]


def test_nothing_is_told_of_attributes_that_some_issuer_has(tmp_path: Path) -> None:
    assert told(tmp_path, "depart", "departmen", "TEAM", "site", "floor") == []


def test_names_in_row_filters_compare_with_their_case(tmp_path: Path) -> None:
    assert len(told(tmp_path, "Depart", "departmen", "team", "site", "floor")) == 1


def test_a_review_tells_of_masks_and_of_attributes(tmp_path: Path) -> None:
    mask = "masks:\n  m: {rank: 1, builtin: year}\n"
    policies = write_policies(tmp_path, {"policy.yaml": POLICY + mask})
    found = policy_warnings(load((policies,), ISSUERS), ())
    assert "the mask `m` shows the year" in found[0]
    assert len(found) == 1 + 7
