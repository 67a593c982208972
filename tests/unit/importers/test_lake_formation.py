"""Lake Formation's answers to a policy file: what is equal, what is left out, and that a mistake would show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from penstock_server.errors import ConfigurationError
from penstock_server.importers.lakeformation.expressions import UnreadableExpression, form_of_expression
from penstock_server.importers.outcome import Imported, LeftOut
from penstock_server.importers.report import print_report
from penstock_server.importers.row_forms import form_of, words
from penstock_server.policy.filters.binding import bind_filter
from penstock_server.policy.filters.row_filter import parse_filter
from penstock_server.policy.filters.row_tests import Fixed
from support.imports import (
    ACCOUNT,
    MAPPING,
    ROLE,
    SNAPSHOT,
    cells_filter,
    convert_lake,
    filtered,
    lake_table,
    only,
    permission,
)

ALL_COLUMNS: dict[str, Any] = {"ColumnWildcard": {}}
ALL_ROWS: dict[str, Any] = {"AllRowsWildcard": {}}
EVERY_TABLE = {"Table": {"CatalogId": ACCOUNT, "DatabaseName": "db", "TableWildcard": {}}}


def shown(imported: Imported, who: str, table: str) -> tuple[dict[str, str], str]:
    """Give the columns with where each is clear, and the rows, on which both sides agree."""
    (pair,) = [each for each in imported.compared if (each.who, str(each.table)) == (who, table)]
    assert pair.aws == pair.policy
    return {name: words(where) for name, where in pair.policy.columns}, words(pair.policy.rows)


def reasons(imported: Imported) -> list[str]:
    return [each.reason for each in imported.left_out]


def without_tags(answers: dict[str, Any]) -> None:
    """Leave out the grant by LF-tags, which opens every row."""
    page = answers["list-permissions"]
    page["PrincipalResourcePermissions"] = [
        entry for entry in page["PrincipalResourcePermissions"] if "LFTagPolicy" not in entry["Resource"]
    ]


def test_two_filters_of_one_principal_join_cell_by_cell(tmp_path: Path) -> None:
    """The golden vector of two data cells filters, F1 and F2."""
    us, since = "country = 'US'", "year > 2010"
    assert shown(convert_lake(tmp_path, without_tags), f"{ROLE}analysts", "lake.db.t") == (
        {"id": "all", "country": us, "year": since, "amount": since, "ssn": us},
        f"{us} | {since}",
    )


def test_the_recorded_estate_is_equal_where_it_is_carried_over(tmp_path: Path) -> None:
    imported = convert_lake(tmp_path)
    assert imported.different == ()
    assert [(each.who.rpartition("/")[2], str(each.table), each.left_out) for each in imported.compared] == [
        ("analysts", "lake.db.t", True),
        ("analysts", "lake.db.u", True),
        ("catalogue", "lake.db.u", False),
        ("finance", "lake.db.t", False),
        ("platform", "lake.db.t", False),
        ("platform", "lake.db.u", False),
        ("dora", "lake.db.t", False),
    ]


def test_the_order_of_the_answers_does_not_change_the_policy(tmp_path: Path) -> None:
    def reverse(answers: dict[str, Any]) -> None:
        answers["list-permissions"]["PrincipalResourcePermissions"].reverse()

    (one,) = convert_lake(tmp_path / "a").files
    (other,) = convert_lake(tmp_path / "b", reverse).files
    assert one.text == other.text


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (permission(lake_table("t"), "ALL", principal="IAM_ALLOWED_PRINCIPALS"), "IAMAllowedPrincipals"),
        (permission(lake_table("t"), "SELECT", principal=f"{ACCOUNT}:IAMPrincipals"), "every IAM principal"),
        (permission(lake_table("t"), "SELECT", principal=ACCOUNT), "an account or an organization"),
        (
            permission(lake_table("t"), "SELECT", principal=f"arn:aws:organizations::{ACCOUNT}:ou/o-1/ou-1"),
            "an account or an organization",
        ),
        (permission(lake_table("t"), "SELECT", principal="arn:aws:iam::444455556666:role/x"), "account 444455556666"),
        (permission(lake_table("t"), "SELECT", principal=f"{ROLE}nobody"), "not in the mapping"),
        (permission(lake_table("t"), "SELECT", Condition={"Expression": "true"}), "Cedar condition"),
        (permission(lake_table("t"), "INSERT"), "only read here"),
        (permission(lake_table("nope"), "SELECT"), "has no table db.nope"),
        (permission({"Table": {"DatabaseName": "db", "Name": "t"}}, "SELECT"), "an account that is not stated"),
        (
            permission({"Table": {"CatalogId": "444455556666", "DatabaseName": "db", "Name": "t"}}, "SELECT"),
            "the catalog 444455556666",
        ),
        (permission({"RLSPolicy": {"Name": "p"}}, "SELECT"), "never approximated"),
        (permission({"Catalog": {}}, "CREATE_DATABASE"), "the catalog itself"),
        (permission({"Unheard": {"Of": "x"}}, "SELECT"), "is not known"),
        (permission(filtered("gone"), "SELECT"), "is not among the answers"),
        (permission(filtered("us"), "DESCRIBE"), "known of as a whole"),
        (
            permission(
                {
                    "TableWithColumns": {
                        "CatalogId": ACCOUNT,
                        "DatabaseName": "db",
                        "Name": "t",
                        "ColumnNames": ["address.zip"],
                    }
                },
                "SELECT",
            ),
            "no column `address.zip`",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_said_exactly_is_left_out_with_its_reason(
    tmp_path: Path, entry: dict[str, Any], reason: str
) -> None:
    imported = convert_lake(tmp_path, only(entry))
    assert imported.files == ()
    (left,) = imported.left_out
    assert reason in left.reason
    assert left.place == "permissions.json.PrincipalResourcePermissions[0]"


def test_a_grant_option_is_listed_and_the_grant_carried_over(tmp_path: Path) -> None:
    entry = permission(EVERY_TABLE, "SELECT")
    imported = convert_lake(tmp_path, only({**entry, "PermissionsWithGrantOption": ["SELECT"]}))
    assert [each.what for each in imported.left_out] == [f"the grant option on SELECT of `{ROLE}analysts` on db.*"]
    assert 'resource: "lake.db.*"' in imported.files[0].text


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("nope = 1", "no column `nope`"),
        ("country = 1", "country"),
        ("lower(country) = 'us'", "functions"),
        ("country = ssn", "expected a constant"),
        ("country = 'x'; drop table t", "`;` has no meaning"),
        ("id IN (SELECT 1)", "constant"),
        ("country LIKE 'a\\_b'", "backslash"),
        ("country = :user.name", "Lake Formation's grammar does not have"),
        ("id = 1 OR (NOT country IN :user.attributes.countries)", "Lake Formation's grammar does not have"),
        ("year = 2010 AND " * 200 + "id = 1", "longer than"),
    ],
)
def test_an_expression_that_cannot_be_said_leaves_its_grant_out(tmp_path: Path, expression: str, reason: str) -> None:
    found = cells_filter("f", {"FilterExpression": expression}, ALL_COLUMNS)
    imported = convert_lake(tmp_path, only(permission(filtered("f"), "SELECT"), filters=(found,)))
    assert imported.files == ()
    assert len(imported.left_out) == 1
    assert reason in imported.left_out[0].reason


@pytest.mark.parametrize(
    "expression",
    [
        "country = 'US'",
        "country <> 'U''S' AND ssn != '\"'",
        "NOT (country LIKE 'U%' OR country NOT IN ('a', 'b,c')) and id between -10 AND +20",
        'NOT NOT id IS NOT NULL OR "year" >= 2010 AND "YEAR" < 2020',
        "(id = 1 OR id = 2) AND (id = 1 OR (id = 3 OR id = 4))",
        "NOT country BETWEEN 'a' AND 'b' OR NOT id = 1 AND id = 2",
        "country IS NULL OR ssn LIKE ''",
    ],
)
def test_both_readers_read_an_expression_alike(expression: str) -> None:
    schema = SNAPSHOT.tables[0]
    test = bind_filter(parse_filter(expression), schema)
    assert isinstance(test, Fixed)
    assert form_of(test.predicate) == form_of_expression(expression, schema)


@pytest.mark.parametrize("expression", ["rate = 0.5 OR rate > 1e-3", "ok = TRUE AND ok <> false", "price IN (1, 2.50)"])
def test_both_readers_read_constants_alike(expression: str) -> None:
    schema = SNAPSHOT.tables[1]
    test = bind_filter(parse_filter(expression), schema)
    assert isinstance(test, Fixed)
    assert form_of(test.predicate) == form_of_expression(expression, schema)


@pytest.mark.parametrize(
    "expression",
    ["", "id", "id =", "id = 'a'", "country = 1", "id = 1 id", "(id = 1", "id IN ()", "x = 1", "id IS 1", "id = :user"],
)
def test_the_second_reader_refuses_what_is_no_expression(expression: str) -> None:
    with pytest.raises(UnreadableExpression):
        form_of_expression(expression, SNAPSHOT.tables[0])


def test_a_filter_of_all_columns_and_all_rows_is_a_plain_grant(tmp_path: Path) -> None:
    found = cells_filter("all", ALL_ROWS, ALL_COLUMNS)
    imported = convert_lake(tmp_path, only(permission(filtered("all"), "SELECT"), filters=(found,)))
    assert "filter" not in imported.files[0].text
    assert shown(imported, f"{ROLE}analysts", "lake.db.t")[1] == "all"


def test_two_filters_of_one_name_on_two_tables_stay_apart(tmp_path: Path) -> None:
    filters = (
        cells_filter("f", {"FilterExpression": "id = 1"}, ALL_COLUMNS),
        cells_filter("f", {"FilterExpression": "id = 2"}, ALL_COLUMNS, of="u"),
    )
    grants = (permission(filtered("f"), "SELECT"), permission(filtered("f", of="u"), "SELECT"))
    imported = convert_lake(tmp_path, only(*grants, filters=filters))
    assert shown(imported, f"{ROLE}analysts", "lake.db.t")[1] == "id = 1"
    assert shown(imported, f"{ROLE}analysts", "lake.db.u")[1] == "id = 2"


def attachment(resource: dict[str, Any]) -> dict[str, Any]:
    return {
        "CatalogId": ACCOUNT,
        "PolicyName": "regions",
        "Principal": {"DataLakePrincipalIdentifier": f"{ROLE}finance"},
        "Resource": resource,
    }


def test_a_table_under_a_row_policy_is_left_out_of_a_wildcard_too(tmp_path: Path) -> None:
    grants = (permission(EVERY_TABLE, "SELECT"), permission(lake_table("t"), "SELECT"))
    imported = convert_lake(tmp_path, only(*grants, attachments=(attachment(lake_table("t")),)))
    assert 'resource: "lake.db.u"' in imported.files[0].text
    assert "lake.db.t" not in imported.files[0].text
    assert "lake.db.*" not in imported.files[0].text
    assert any("row-level security policy `regions` on db.t" in each.what for each in imported.left_out)
    assert imported.different == ()


def test_a_row_policy_on_tags_closes_every_table(tmp_path: Path) -> None:
    tagged = {"LFTagPolicy": {"ResourceType": "TABLE", "Expression": [{"TagKey": "k", "TagValues": ["v"]}]}}
    grants = (permission(EVERY_TABLE, "SELECT"), permission(lake_table("u"), "SELECT"))
    imported = convert_lake(tmp_path, only(*grants, attachments=(attachment(tagged),)))
    assert imported.files == ()
    assert len(imported.left_out) == 3


def test_two_principals_mapped_to_one_are_shown_as_different(tmp_path: Path) -> None:
    mapping = {**MAPPING, f"{ROLE}finance": "group:analysts"}
    imported = convert_lake(tmp_path, without_tags, mapping=mapping)
    assert {each.who for each in imported.different} == {f"{ROLE}analysts", f"{ROLE}finance"}
    assert "no policy was written" in print_report(imported, title="Import")


def test_a_mistake_of_the_translation_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation control: a filter that loses its rows on the way must not pass as equal."""
    from penstock_server.importers.lakeformation import translation
    from penstock_server.importers.lakeformation.cells import Cells, cells_of

    def without_rows(*arguments: Any) -> Cells:
        return Cells(columns=cells_of(*arguments).columns, rows=None)

    monkeypatch.setattr(translation, "cells_of", without_rows)
    assert [each.who for each in convert_lake(tmp_path).different] == [f"{ROLE}analysts"]


def unknown_member(answers: dict[str, Any]) -> None:
    answers["list-permissions"]["PrincipalResourcePermissions"][0]["Restriction"] = "x"


def no_attachments(answers: dict[str, Any]) -> None:
    del answers["list-rls-policy-attachments"]


def cut_off(answers: dict[str, Any]) -> None:
    answers["list-permissions"]["NextToken"] = "more"


def page_missing(answers: dict[str, Any]) -> None:
    del answers["list-data-cells-filter"][0]["NextToken"]


def no_wildcard(answers: dict[str, Any]) -> None:
    answers["list-data-cells-filter"][0]["DataCellsFilters"][0]["RowFilter"] = {}


def no_columns(answers: dict[str, Any]) -> None:
    del answers["list-data-cells-filter"][0]["DataCellsFilters"][0]["ColumnNames"]


def another_call(answers: dict[str, Any]) -> None:
    answers["else"] = {"Buckets": []}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (unknown_member, "holds `Restriction`, which this version does not know"),
        (no_attachments, "no answer of ListRLSPolicyAttachments"),
        (cut_off, "has a `NextToken`"),
        (page_missing, "has no `NextToken`"),
        (no_wildcard, "either `FilterExpression` or `AllRowsWildcard`"),
        (no_columns, "either `ColumnNames` or `ColumnWildcard`"),
        (another_call, "is no answer of a call that is read here"),
    ],
)
def test_answers_that_may_hide_a_restriction_are_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], problem: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        convert_lake(tmp_path, change)
    assert problem in str(caught.value)


def test_a_name_that_stands_twice_in_an_object_is_refused(tmp_path: Path) -> None:
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "twice.json").write_text(
        '{"PrincipalResourcePermissions": [], "NextToken": 1, "NextToken": 2}'
    )
    with pytest.raises(ConfigurationError, match="stands twice"):
        convert_lake(tmp_path)


def test_the_report_lists_pairs_reasons_and_sources(tmp_path: Path) -> None:
    imported = convert_lake(tmp_path)
    lines = print_report(imported, title="Import of Lake Formation").splitlines()
    assert lines[0] == "# Import of Lake Formation"
    assert f"| {ROLE}finance | group:finance | lake.db.t | same | id, country, year, amount | all |" in lines
    assert any(line.startswith("- `lf-0001`: list-permissions.json") for line in lines)
    assert sum(line.startswith("- list-permissions.json") for line in lines) == 12


def test_a_name_in_an_answer_cannot_pose_as_a_line_of_the_report() -> None:
    left = LeftOut(place="p", what="x\n## Compared\n| a | same |", reason="r")
    imported = Imported(name="x", files=(), left_out=(left,), compared=(), sources=())
    lines = print_report(imported, title="t").splitlines()
    assert "- p: x\\n## Compared\\n\\| a \\| same \\|: r" in lines
