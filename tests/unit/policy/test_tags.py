"""Tags beyond what vectors say: files, explanations, limits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from penstock_server.errors import ConfigurationError
from penstock_server.model.decision import AwsDecision, Denied, TableDecision, TableHidden
from penstock_server.model.explanation import ExplanationNode
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.model.schema import CatalogSnapshot
from penstock_server.policy.binding import bind
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.evaluation import decide
from penstock_server.policy.explanation.for_administrators import explain_for_administrator
from penstock_server.policy.explanation.for_callers import explain
from penstock_server.policy.reading.files import load
from penstock_server.policy.resources import decide_raw
from support.policies import ISSUERS, NOW, bind_policy, load_policy, name_of, principal, table, write_policies

FACTS = RequestFacts.of_instant(NOW)
COLUMNS = {"id": "INTEGER", "name": "VARCHAR", "ssn": "VARCHAR"}
PEOPLE = table("lake.db.people", COLUMNS, "acme/people/")


def lines(node: ExplanationNode) -> Iterator[str]:
    yield f"{node.layer}: {node.verdict.value}: {node.sentence}"
    for child in node.children:
        yield from lines(child)


def told(policy: BoundPolicy, who: Principal) -> list[str]:
    return list(lines(explain(policy, who, ("db", "people"), default_catalog=None, facts=FACTS)))


RAW = """\
version: 1
tags: {{classification: [public, pii]}}
tagged:
  - {{resource: lake.db, tags: {{classification: public}}}}
  - {{resource: lake.db.people, columns: [ssn], tags: {{classification: {}}}}}
grants:
  - {{name: g, principals: [everyone], tag_expression: {{classification: [public]}}, permissions: [SELECT, RAW]}}
"""


@pytest.mark.parametrize(("tag", "outcome"), [("public", AwsDecision), ("pii", Denied)])
def test_raw_by_tags_needs_a_table_that_matches_as_a_whole(tag: str, outcome: type, tmp_path: Path) -> None:
    policy = bind_policy(tmp_path, RAW.format(tag), PEOPLE)
    assert isinstance(decide_raw(policy, principal(), PEOPLE.name, facts=FACTS), outcome)


def test_a_denial_by_tags_keeps_the_files_away(tmp_path: Path) -> None:
    denial = "denials: [{tag_expression: {team: [a]}, except_principals: [user:bob], permissions: [DESCRIBE]}]\n"
    text = RAW.format("public").replace("pii]", "pii], team: [a]") + denial
    text = text.replace("grants:", "  - {resource: lake.db.people, columns: [id], tags: {team: a}}\ngrants:")
    policy = bind_policy(tmp_path, text, PEOPLE)
    assert isinstance(decide_raw(policy, principal("alice"), PEOPLE.name, facts=FACTS), Denied)
    assert isinstance(decide_raw(policy, principal("bob"), PEOPLE.name, facts=FACTS), AwsDecision)


REQUIRING = RAW.replace("permissions: [SELECT, RAW]", "permissions: [SELECT], requires: [private]")


def test_a_grant_by_tags_may_require_private_data_of_each_table(tmp_path: Path) -> None:
    policy = bind_policy(tmp_path, REQUIRING.format("pii"), PEOPLE)
    # Nothing is known of the bucket, so the grant does not hold.
    assert isinstance(decide(policy, principal(), PEOPLE.name, facts=FACTS), TableHidden)
    with pytest.raises(ConfigurationError, match=r"`requires` asks where the files of lake\.db\.people lie"):
        bind_policy(tmp_path, REQUIRING.format("pii"), table("lake.db.people", COLUMNS))


SPREAD = {
    "a.yaml": "version: 1\ntags: {classification: [public, pii]}\n",
    "b.yaml": "version: 1\ntagged: [{resource: lake.db, tags: {classification: public}}]\n",
    "c.yaml": """\
version: 1
tags: {team: [a]}
tagged:
  - {resource: lake.db, tags: {team: a}}
  - {resource: lake.db.people, columns: [ssn], tags: {classification: pii}}
grants:
  - {name: g, principals: [everyone], tag_expression: {classification: [public], team: [a]}, permissions: [SELECT]}
""",
}


def test_tags_may_be_spread_over_files_and_entries(tmp_path: Path) -> None:
    policies = write_policies(tmp_path, SPREAD)
    policy = bind(load((policies,), ISSUERS), CatalogSnapshot(tables=(PEOPLE,)), logins=frozenset())
    outcome = decide(policy, principal(), PEOPLE.name, facts=FACTS)
    assert isinstance(outcome, TableDecision)
    assert [column.column.name for column in outcome.table.columns] == ["id", "name"]


def test_every_change_of_a_tag_is_another_version(tmp_path: Path) -> None:
    text = RAW.format("pii")
    texts = [
        text,
        text.replace("people, columns: [ssn]", "people, columns: [id]"),
        text.replace("[public, pii]", "[pii, public, x]"),
    ]
    assert len({load_policy(tmp_path, each).version for each in texts}) == 3


TOLD = """\
version: 1
tags: {classification: [public, secret-a, secret-b], team: [a, b]}
tagged:
  - {resource: lake.db, tags: {classification: public}}
  - {resource: lake.db.people, columns: [ssn], tags: {classification: secret-a}}
grants:
  - name: open-data
    principals: ["group:staff"]
    tag_expression: {classification: [public], team: ["*"]}
    permissions: [SELECT]
  - {name: public-data, principals: ["group:staff"], tag_expression: {classification: [public]}, permissions: [SELECT]}
"""


def test_a_grant_by_tags_is_told_by_its_expression(tmp_path: Path) -> None:
    policy = bind_policy(tmp_path, TOLD, PEOPLE)
    assert [line for line in told(policy, principal(groups=["staff"])) if line.startswith(("grant:", "filter"))] == [
        "grant: narrowed: `public-data` names your group `staff` and gives SELECT on what has matching tags: "
        "`classification` is `public`",
        "filter: narrowed: the columns `id`, `name` of all rows; columns that are added to the table show at the next "
        "load of the policy",
    ]


def test_what_tags_a_hidden_column_has_is_told_nowhere(tmp_path: Path) -> None:
    who = principal(groups=["staff"])
    first = told(bind_policy(tmp_path, TOLD, PEOPLE), who)
    for other in ("secret-b", "secret-b, team: b"):
        text = TOLD.replace("classification: secret-a}", f"classification: {other}}}")
        assert told(bind_policy(tmp_path, text, PEOPLE), who) == first
    assert not any("secret" in line or "team" in line for line in first)


DENIED = (
    TOLD
    + """\
  - {name: all, principals: ["group:hr"], resource: lake.db.people, permissions: [SELECT]}
  - {name: some, principals: ["group:it"], resource: lake.db.people, permissions: [SELECT], columns: {include: [id]}}
denials:
  - {tag_expression: {classification: [secret-a]}, except_principals: ["user:boss"], permissions: [SELECT]}
"""
)


def test_a_denial_by_tags_is_told_without_the_columns_that_it_closes(tmp_path: Path) -> None:
    policy = bind_policy(tmp_path, DENIED, PEOPLE)
    reached = told(policy, principal(groups=["hr"]))
    assert "denials: narrowed: a denial that does not spare you leaves out columns, and the files" in reached
    assert reached[0].endswith("columns are left out by a denial")
    assert not any("ssn" in line or "secret" in line for line in reached)
    # Where no grant shows such a column, not even that something is left out.
    other = told(policy, principal(groups=["it"]))
    assert "denials: narrowed: a denial that does not spare you keeps the files from you" in other
    assert "denial" not in other[0]
    assert told(policy, principal("boss", groups=["hr"]))[0] == "table: allowed: you may read all of `lake.db.people`"


def test_administrators_are_told_which_columns_a_denial_by_tags_closes(tmp_path: Path) -> None:
    policy = bind_policy(tmp_path, DENIED, PEOPLE)
    node = explain_for_administrator(
        policy, principal(groups=["hr"]), ("lake", "db", "people"), default_catalog=None, facts=FACTS
    )
    text = "\n".join(lines(node))
    assert "hidden column: refused: `ssn`: a denial by tags does not spare them" in text
    assert "the columns `ssn` are denied by their tags to all but" in text
    assert "`public-data` names" in text


LIMITS = "version: 1\ntags: {}\ntagged: [{{resource: lake.db.people, tags: {}}}]\n"


@pytest.mark.parametrize(
    ("tags", "tagged", "problem"),
    [
        ({f"k{n}": ["v"] for n in range(51)}, {f"k{n}": "v" for n in range(51)}, "has more than 50 tags on one level"),
        ({"k": [f"v{n}" for n in range(1001)]}, {"k": "v1"}, "has more than 1000 values"),
        ({f"k{n}": ["v"] for n in range(1001)}, {"k1": "v"}, "more than 1000 tags"),
        ({"k" * 129: ["v"]}, {}, "is no key of a tag"),
        ({"k": ["v" * 257]}, {}, "is no value of a tag"),
        ({"k": ["a,b"]}, {}, "is no value of a tag"),
        ({"k": ["e\u0301"]}, {}, "is no value of a tag"),
    ],
)
def test_the_limits_of_lake_formation_hold(
    tags: dict[str, list[str]], tagged: dict[str, str], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_policy(tmp_path, LIMITS.format(_flow(tags), _flow(tagged or {"k": "v"})))
    assert problem in str(caught.value)


def test_what_fits_the_limits_is_taken(tmp_path: Path) -> None:
    tags = {**{f"k{n}": ["v" * 256] for n in range(50)}, "k" * 128: [f"v {n}/@" for n in range(1000)]}
    tagged = {f"k{n}": "v" * 256 for n in range(50)}
    assert len(load_policy(tmp_path, LIMITS.format(_flow(tags), _flow(tagged))).tags) == 50


def _flow(value: dict[str, list[str]] | dict[str, str]) -> str:
    return json.dumps(value, ensure_ascii=False)


def test_what_an_expression_matches_is_shared_by_all_grants_that_go_by_it(tmp_path: Path) -> None:
    tables = [table(f"lake.db.t{n}", COLUMNS) for n in range(3)]
    text = "version: 1\ntags: {c: [p, q]}\ntagged:\n  - {resource: lake.db, tags: {c: p}}\n"
    text += "".join(f"  - {{resource: lake.db.t{n}, columns: [ssn], tags: {{c: q}}}}\n" for n in range(3)) + "grants:\n"
    grant = "  - {{name: g{0}, principals: ['user:u{0}'], tag_expression: {{c: [p]}}, permissions: [SELECT]}}\n"
    policy = bind_policy(tmp_path, text + "".join(grant.format(n) for n in range(4)), *tables)
    for schema in tables:
        named = policy.grants[schema.name.key()]
        filters = {id(part) for grants in named.values() for bound in grants for part in bound.filters}
        assert (len(named), len(filters)) == (4, 1)
    assert name_of("lake.db.t0").key() in policy.tables
