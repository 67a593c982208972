"""Explanations: right in words, and silent about what the caller may not see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from penstock_server.errors import NotFound
from penstock_server.model.explanation import ExplanationNode, Verdict
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.evaluation import table_not_found
from penstock_server.policy.explanation.for_callers import explain
from support.policies import NOW, bind_policy, principal, table

POLICY = """\
version: 1
masks:
  hidden: {rank: 1, builtin: redact}
grants:
  - name: staff-us
    principals: ["group:staff", "user:alice"]
    resource: lake.db.people
    permissions: [SELECT]
    columns: {exclude: [ssn, salary]}
    rows: "country = 'US'"
    masks: {phone: hidden}
    expires: 2026-07-01T00:00:00Z
  - name: staff-rich
    principals: ["group:staff"]
    resource: lake.db.people
    permissions: [SELECT]
    columns: {include: [id]}
    rows: "salary > 123456"
  - name: staff-phone
    principals: ["group:staff"]
    resource: lake.db.people
    permissions: [SELECT]
    columns: {include: [id]}
    rows: "phone = '5551234'"
  - {name: ended, principals: ["group:staff"], resource: lake.db.people, permissions: [SELECT], expires: 2026-01-01T00:00:00Z}
  - {name: secret-boss-grant, principals: ["user:boss"], resource: lake.db.people, permissions: [SELECT]}
  - {name: hr-knows, principals: ["group:hr"], resource: lake.db.people, permissions: [DESCRIBE], columns: {include: [id]}}
  - {name: files, principals: ["user:boss"], resource: lake.db.people, permissions: [RAW]}
  - {name: all-plain, principals: [everyone], resource: lake.db.plain, permissions: [SELECT]}
  - {name: all-regions, principals: [everyone], resource: lake.db.regions, permissions: [SELECT]}
row_rules:
  - {resource: lake.db.regions, name: by-region, rules: {file: rules.csv}}
  - {resource: lake.db.people, name: by-country, rules: {file: rules.csv}}
  - {resource: lake.db.people, name: by-number, rules: {file: ssn.csv}}
"""  # noqa: E501 - one grant a line
RULES = 'UserName,GroupName,country\nalice,,\n,staff,"US,UK"\nboss,,\n'
SSN = "UserName,ssn\nalice,999-99-9999\nboss,\n"
COLUMNS = {"id": "INTEGER", "country": "VARCHAR", "phone": "VARCHAR", "ssn": "VARCHAR", "salary": "INTEGER"}


@pytest.fixture
def policy(tmp_path: Path) -> BoundPolicy:
    return bind_policy(
        tmp_path,
        POLICY,
        table("lake.db.people", COLUMNS),
        table("lake.db.plain", {"id": "INTEGER"}),
        table("lake.db.regions", {"country": "VARCHAR"}),
        rules=RULES,
        ssn=SSN,
    )


def walk(node: ExplanationNode, depth: int = 0) -> Iterator[tuple[int, str, Verdict, str]]:
    yield depth, node.layer, node.verdict, node.sentence
    for child in node.children:
        yield from walk(child, depth + 1)


def tree(policy: BoundPolicy, who: Principal, name: str) -> list[str]:
    node = explain(policy, who, tuple(name.split(".")), default_catalog=None, facts=RequestFacts.of_instant(NOW))
    return [f"{'  ' * depth}{layer}: {verdict.value}: {words}" for depth, layer, verdict, words in walk(node)]


def test_a_part_of_a_table_is_explained_layer_by_layer(policy: BoundPolicy) -> None:
    assert tree(policy, principal("alice", groups=["staff"]), "db.people") == [
        "table: narrowed: you may read a part of `lake.db.people`: "
        "columns are left out by `staff-phone`, `staff-rich`, `staff-us`; "
        "rows are left out by the filters of `staff-phone`, `staff-rich`, `staff-us`; "
        "rows are left out by the rules `by-number`; "
        "NULL where no grant shows it: `country`, `phone`; masked: `phone`",
        "  identity: allowed: you are `alice`, subject `subject-of-alice` of `https://login.test`",
        "  grants: narrowed: together your grants show the columns `id`, `country`, `phone`",
        "    grant: not applicable: `ended` names your group `staff`, but ended at 2026-01-01T00:00:00+00:00; "
        "ask for it to be renewed",
        "    grant: narrowed: `staff-phone` names your group `staff` and gives SELECT",
        "      filter: narrowed: the columns `id` of rows chosen by columns that you do not see clear in them"
        "; columns that are added to the table stay hidden",
        "    grant: narrowed: `staff-rich` names your group `staff` and gives SELECT",
        "      filter: narrowed: the columns `id` of rows chosen by columns that you do not see clear in them"
        "; columns that are added to the table stay hidden",
        "    grant: narrowed: `staff-us` names your username and your group `staff` and gives SELECT, "
        "until 2026-07-01T00:00:00+00:00",
        "      filter: narrowed: the columns `id`, `country`, `phone` of rows where country = 'US'"
        "; columns that are added to the table show at the next load of the policy",
        "  row rules: narrowed: rows are left where every rules dataset shows them",
        "    rules dataset: allowed: `by-country` shows you all rows",
        "    rules dataset: narrowed: `by-number` shows you rows chosen by columns that you do not see clear in them",
        "  column rules: not applicable: no column rule plays a part here",
        "  masks: narrowed: some cells are masked",
        "    mask: narrowed: `phone` shows the mask `hidden` where no grant shows it clear",
        "  denials: not applicable: no denial reaches you here",
        "  door: narrowed: query the table; its files stay closed to you, as they hold what you may not see",
        "    remedy: narrowed: for more columns, ask for a grant that shows them, "
        "or for wider `columns` in `staff-phone`, `staff-rich`, `staff-us`",
        "    remedy: narrowed: for more rows, ask for a grant that shows them, "
        "or for wider `rows` in `staff-phone`, `staff-rich`, `staff-us`",
        "    remedy: narrowed: for more rows, ask for rules that name you or your groups in `by-number`",
        "    remedy: narrowed: for `country`, `phone` in every row, ask for a grant that shows them there",
        "    remedy: narrowed: for `phone` without a mask, ask for a grant that shows it clear",
    ]


def test_no_row_is_left_where_a_rules_dataset_does_not_name_the_caller(policy: BoundPolicy) -> None:
    assert [line for line in tree(policy, principal("eve", groups=["staff"]), "db.people") if "dataset" in line] == [
        "  row rules: narrowed: rows are left where every rules dataset shows them",
        "    rules dataset: narrowed: `by-country` shows you rows chosen by columns that you do not see clear in them",
        "    rules dataset: refused: `by-number` names neither you nor your groups: no row is left",
    ]


def test_rules_on_a_column_that_is_clear_in_every_row_are_told_in_words(policy: BoundPolicy) -> None:
    lines = tree(policy, principal("eve", groups=["staff"]), "db.regions")
    assert "    rules dataset: narrowed: `by-region` shows you rows where country IN ('UK', 'US')" in lines


def test_a_whole_table_is_explained_as_one(policy: BoundPolicy) -> None:
    assert tree(policy, principal(None, subject="robot", groups_complete=False), "db.plain") == [
        "table: allowed: you may read all of `lake.db.plain`",
        "  identity: allowed: you are without a username, subject `robot` of `https://login.test`; "
        "your identity provider did not list all of your groups: those that it left out give you nothing",
        "  grants: allowed: together your grants show the columns `id`",
        "    grant: allowed: `all-plain` names everyone and gives SELECT",
        "      filter: allowed: all columns of all rows",
        "  row rules: not applicable: no rules dataset plays a part here",
        "  column rules: not applicable: no column rule plays a part here",
        "  masks: not applicable: no cell is masked for you",
        "  denials: not applicable: no denial reaches you here",
        "  door: allowed: nothing of the table is hidden from you",
    ]


def test_a_table_that_may_only_be_described_says_what_to_ask_for(policy: BoundPolicy) -> None:
    assert tree(policy, principal("hanna", groups=["hr"]), "db.people") == [
        "table: refused: you may know of the table `lake.db.people`, but not read it",
        "  identity: allowed: you are `hanna`, subject `subject-of-hanna` of `https://login.test`",
        "  grants: refused: none of your grants lets you read the table",
        "    grant: allowed: `hr-knows` names your group `hr` and gives DESCRIBE",
        "      filter: allowed: the columns `id`; columns that are added to the table stay hidden",
        "  row rules: not applicable: no rules dataset plays a part here",
        "  column rules: not applicable: no column rule plays a part here",
        "  masks: not applicable: no cell is masked for you",
        "  denials: not applicable: no denial reaches you here",
        "  door: refused: ask for the permission SELECT on `lake.db.people`",
    ]


@pytest.mark.parametrize("groups", [["staff"], ["hr"], ["staff", "hr"]])
def test_nothing_that_the_caller_may_not_see_is_named(policy: BoundPolicy, groups: list[str]) -> None:
    text = "\n".join(tree(policy, principal("alice", groups=groups), "db.people"))
    for hidden in ("ssn`", "salary", "123456", "5551234", "999-99", "boss", "RAW", "files`"):
        assert hidden not in text


def test_a_hidden_table_is_explained_like_one_that_does_not_exist(policy: BoundPolicy) -> None:
    for name in ("lake.db.people", "db.people", "lake.db.nope", "nope.db.people", "x"):
        parts = tuple(name.split("."))
        with pytest.raises(NotFound) as caught:
            explain(policy, principal("eve"), parts, default_catalog=None, facts=RequestFacts.of_instant(NOW))
        expected = table_not_found(parts)
        assert vars(caught.value) == vars(expected)


RULED = """\
version: 1
grants:
  - {name: all, principals: ["user:alice", "user:hana"], resource: lake.db.people, permissions: [SELECT], rows: "ssn = '1'"}
  - {name: one, principals: ["user:alice"], resource: lake.db.people, permissions: [SELECT], columns: {include: [id, ssn]}}
  - {name: id-only, principals: ["user:bob"], resource: lake.db.people, permissions: [SELECT], columns: {include: [id]}}
column_rules:
  - {resource: lake.db.people, columns: [ssn, salary], principals: ["user:hana"]}
"""  # noqa: E501 - one grant a line


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        ("alice", "narrowed: column rules leave out columns that your grants show"),
        ("hana", "allowed: the column rules leave every column that your grants show"),
        ("bob", "allowed: the column rules leave every column that your grants show"),
    ],
)
def test_column_rules_are_told_without_the_columns_that_they_close(who: str, expected: str, tmp_path: Path) -> None:
    policy = bind_policy(tmp_path, RULED, table("lake.db.people", COLUMNS))
    lines = tree(policy, principal(who), "db.people")
    assert f"  column rules: {expected}" in lines
    if who != "hana":
        assert not any("ssn" in line or "salary" in line for line in lines)


DENIED = """\
version: 1
grants:
  - {name: all, principals: [everyone], resource: lake.db.*, permissions: [SELECT]}
denials:
  - {resource: lake.db.people, except_principals: ["user:boss"], permissions: [SELECT]}
  - {resource: lake.db.plain, except_principals: ["user:boss"], permissions: [RAW]}
"""


def test_a_denial_is_told_with_what_it_takes_and_not_with_whom_it_spares(tmp_path: Path) -> None:
    policy = bind_policy(
        tmp_path, DENIED, table("lake.db.people", {"id": "INTEGER"}), table("lake.db.plain", {"id": "INTEGER"})
    )
    assert tree(policy, principal("eve"), "db.people") == [
        "table: refused: reading the table `lake.db.people` is denied to you, whatever your grants say",
        "  identity: allowed: you are `eve`, subject `subject-of-eve` of `https://login.test`",
        "  grants: narrowed: your grants alone would let you read the table",
        "    grant: allowed: `all` names everyone and gives SELECT",
        "      filter: allowed: all columns of all rows",
        "  row rules: not applicable: no rules dataset plays a part here",
        "  column rules: not applicable: no column rule plays a part here",
        "  masks: not applicable: no cell is masked for you",
        "  denials: refused: a denial that does not spare you keeps you from reading",
        "  door: refused: a denial holds for everybody whom it does not spare; ask the owner of the data to be spared",
    ]
    assert tree(policy, principal("eve"), "db.plain")[-2:] == [
        "  denials: narrowed: a denial that does not spare you keeps the files from you",
        "  door: narrowed: query the table; its files stay closed to you",
    ]
    assert tree(policy, principal("boss"), "db.people")[-2:] == [
        "  denials: not applicable: no denial reaches you here",
        "  door: allowed: nothing of the table is hidden from you",
    ]
