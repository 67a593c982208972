"""What administrators are told of a decision about somebody else: all of it, and only to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from penstock_server.errors import NotFound, QueryError, Reason
from penstock_server.model.explanation import ExplanationNode
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.explanation.for_administrators import explain_for_administrator
from penstock_server.policy.explanation.for_callers import explain
from support.policies import NOW, OTHER_ISSUER, bind_policy, principal, table

POLICY = """\
version: 1
masks:
  hidden: {rank: 1, builtin: redact}
grants:
  - name: staff-us
    principals: ["group:staff"]
    resource: lake.db.people
    permissions: [SELECT]
    columns: {include: [id, phone]}
    rows: "salary > 123456"
    masks: {phone: hidden}
  - name: office-only
    principals: ["group:staff", "user:carol"]
    resource: lake.db.people
    permissions: [SELECT]
    conditions:
      IpAddress: {"penstock:SourceIp": ["10.0.0.0/8"]}
      "Null": {"penstock:Purpose": "false"}
  - {name: ended, principals: [everyone], resource: lake.db.*, permissions: [SELECT], expires: 2026-01-01T00:00:00Z}
  - {name: boss, principals: ["user:boss", "group:other:chiefs"], resource: lake.*, permissions: [SELECT]}
row_rules:
  - {resource: lake.db.people, name: by-country, rules: {file: rules.csv}}
column_rules:
  - {resource: lake.db.people, columns: [phone], principals: ["group:hr", "user:boss"]}
denials:
  - {resource: lake.db.people, except_principals: ["group:staff"], permissions: [SELECT]}
  - {resource: lake.db.people, except_principals: ["user:boss"], permissions: [RAW]}
"""
RULES = "UserName,GroupName,country\n,staff,US\n"
COLUMNS = {"id": "INTEGER", "country": "VARCHAR", "phone": "VARCHAR", "salary": "INTEGER"}
FACTS = replace(RequestFacts.of_instant(NOW), source_address="192.0.2.1")
PEOPLE = ("lake", "db", "people")


@pytest.fixture
def policy(tmp_path: Path) -> BoundPolicy:
    return bind_policy(
        tmp_path, POLICY, table("lake.db.people", COLUMNS), table("lake.other.people", {"id": "INTEGER"}), rules=RULES
    )


def walk(node: ExplanationNode, depth: int = 0) -> Iterator[str]:
    yield f"{'  ' * depth}{node.layer}: {node.verdict.value}: {node.sentence}"
    for child in node.children:
        yield from walk(child, depth + 1)


def tree(policy: BoundPolicy, who: Principal) -> ExplanationNode:
    return explain_for_administrator(policy, who, PEOPLE, default_catalog=None, facts=FACTS)


def test_administrators_are_told_what_matched_what_did_not_and_why(policy: BoundPolicy) -> None:
    kept = tree(policy, principal("alice", groups=["staff"])).children[1]
    assert list(walk(kept)) == [
        "for administrators: not applicable: what is kept from them, and why",
        "  grants: allowed: 3 of the grants on the table name them, 1 do not",
        "    grant: refused: `ended` names them as `everyone` and would give SELECT, "
        "but ended at 2026-01-01T00:00:00+00:00",
        "    grant: refused: `office-only` names them as `group:staff` and would give SELECT, "
        "but not all of its conditions are true",
        "      condition: refused: `IpAddress` on `penstock:SourceIp` is held against `10.0.0.0/8`; "
        "the request has `192.0.2.1`",
        "      condition: refused: `Null` on `penstock:Purpose` asks for its presence; the request has no such value",
        "    grant: allowed: `staff-us` names them as `group:staff` and gives SELECT",
        "      filter: allowed: the columns `id`, `phone` of rows where salary > 123456; `phone` masked by `hidden`",
        "    grant: not applicable: `boss` names `group:chiefs of https://other.test`, `user:boss`: "
        "they are none of these, and in none of these groups",
        "  hidden columns: narrowed: 3 columns are hidden from them",
        "    hidden column: refused: `country`: no grant that holds for them shows it",
        "    hidden column: refused: `phone`: its column rules name `group:hr`, `user:boss` alone",
        "    hidden column: refused: `salary`: no grant that holds for them shows it",
        "  row rules: narrowed: a row is left where every rules dataset shows it",
        "    rules dataset: narrowed: `by-country` leaves rows where country = 'US'",
        "  column rules: narrowed: 1 of 1 columns under rules are closed to them",
        "    column rule: refused: `phone` is for `group:hr`, `user:boss`",
        "  denials: refused: denials hold whatever the grants say",
        "    denial: allowed: SELECT is denied to all but `group:staff`: they are spared",
        "    denial: refused: RAW is denied to all but `user:boss`: they are not spared",
    ]


def test_administrators_are_first_told_what_the_principal_is_told(policy: BoundPolicy) -> None:
    alice = principal("alice", groups=["staff"])
    told = tree(policy, alice).children[0]
    own = explain(policy, alice, PEOPLE, default_catalog=None, facts=FACTS)
    assert (told.layer, told.verdict, told.sentence) == ("as they are told", own.verdict, own.sentence)
    assert told.children == own.children


def test_administrators_are_told_of_a_table_that_is_hidden_from_the_principal(policy: BoundPolicy) -> None:
    eve = principal("eve", issuer=OTHER_ISSUER)
    found = list(walk(tree(policy, eve)))
    assert found[0] == "table: refused: `lake.db.people` before `eve`, subject `subject-of-eve` of `https://other.test`"
    assert found[1] == (
        "  as they are told: refused: there is no table `lake.db.people`: "
        "every door answers as for a name that does not exist"
    )
    assert "    hidden columns: narrowed: 4 columns are hidden from them" in found
    assert "    grants: refused: 0 of the grants on the table name them, 4 do not" in found
    assert "      rules dataset: refused: `by-country` has no rule for them or their groups: no row is left" in found
    with pytest.raises(NotFound):
        explain(policy, eve, PEOPLE, default_catalog=None, facts=FACTS)


def test_a_table_that_is_in_no_catalog_is_not_found_for_administrators_either(policy: BoundPolicy) -> None:
    with pytest.raises(NotFound):
        explain_for_administrator(policy, principal(), ("lake", "db", "no"), default_catalog=None, facts=FACTS)


def test_a_name_of_several_tables_is_refused_whoever_sees_them(policy: BoundPolicy) -> None:
    with pytest.raises(QueryError) as caught:
        explain_for_administrator(policy, principal("eve"), ("people",), default_catalog=None, facts=FACTS)
    assert caught.value.reason is Reason.SQL_BINDING


def test_many_grants_of_others_are_counted(tmp_path: Path) -> None:
    grants = "".join(
        f"  - {{name: g{n:03}, principals: ['user:u{n}'], resource: lake.db.people, permissions: [SELECT]}}\n"
        for n in range(250)
    )
    policy = bind_policy(tmp_path, f"version: 1\ngrants:\n{grants}", table("lake.db.people", COLUMNS))
    found = tree(policy, principal("u249")).children[1].children[0]
    assert found.sentence == "1 of the grants on the table name them, 249 do not; 49 more name others"
    assert [child.sentence.split("`")[1] for child in found.children[:2]] == ["g249", "g000"]
    assert len(found.children) == 201
