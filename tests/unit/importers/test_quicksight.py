"""A QuickSight dataset with its rules to a policy file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from penstock_server.errors import ConfigurationError
from penstock_server.importers.outcome import Imported
from penstock_server.importers.principals import MappedPrincipal, mapped
from penstock_server.importers.quicksight.conversion import Target, convert
from penstock_server.importers.quicksight.dataset import read_dataset
from penstock_server.importers.quicksight.sheet import read_sheet
from penstock_server.importers.row_forms import words
from penstock_server.model.principal import EveryoneOf
from penstock_server.model.schema import CatalogSnapshot
from support.imports import VECTORS
from support.policies import ISSUER, ISSUERS, NOW, table

RECORDED = VECTORS / "quicksight"
TABLE = table(
    "lake.bi.sales",
    {"region": "VARCHAR", "industry": "VARCHAR", "segment": "VARCHAR", "amount": "INTEGER", "margin": "INTEGER"},
)
EVERYONE = MappedPrincipal(written="everyone", selector=EveryoneOf(issuer=ISSUER))
MAPPING = {
    "user/default/JohnDoe": "user:john",
    "user/default/JaneDoe": "user:jane",
    "user/default/AnnOther": "user:ann",
    "user/default/MrCEO": "user:ceo",
    "group/default/eng": "group:engineers",
    "group/default/board": "group:board",
}

Change = Callable[[dict[str, Any]], None]


def nothing(dataset: dict[str, Any]) -> None:
    """Change nothing."""


def importing(
    folder: Path,
    *,
    change: Change = nothing,
    rules: str | None = (RECORDED / "rules.csv").read_text(),
    mapping: Mapping[str, str] = MAPPING,
    readers: tuple[MappedPrincipal, ...] = (EVERYONE,),
    allow_deny: bool = False,
) -> Imported:
    answer = json.loads((RECORDED / "describe-data-set.json").read_text())
    change(answer["DataSet"])
    (folder / "dataset.json").write_text(json.dumps(answer))
    sheet = None
    if rules is not None:
        (folder / "rules.csv").write_bytes(rules.encode())
        sheet = read_sheet(folder / "rules.csv")
    target = Target(schema=TABLE, snapshot=CatalogSnapshot(tables=(TABLE,)), readers=readers, allow_deny=allow_deny)
    principals = {key: mapped(written, ISSUERS) for key, written in mapping.items()}
    return convert(read_dataset(folder / "dataset.json"), sheet, target, principals, ISSUERS, at=NOW)


def views(imported: Imported) -> dict[str, tuple[list[str], str]]:
    assert imported.different == ()
    return {
        each.who: ([name for name, _ in each.policy.columns], words(each.policy.rows)) for each in imported.compared
    }


def test_the_golden_rules_show_each_reader_the_same_on_both_sides(tmp_path: Path) -> None:
    """The golden vector of user-based rules."""
    open_columns = ["region", "industry", "segment", "amount"]
    jane = "(industry = 'Healthcare' AND region = 'EMEA') | (region = 'EMEA' AND segment = 'SMB')"
    john = "(industry IN ('Energy', 'Finance') AND region = 'AMER' AND segment IN ('Enterprise', 'Strategic'))"
    imported = importing(tmp_path)
    assert imported.left_out == ()
    assert views(imported) == {
        "a reader whom no rule names": (open_columns, "none"),
        "user/default/JohnDoe": ([*open_columns, "margin"], john),
        "user/default/JaneDoe": (open_columns, jane),
        "user/default/AnnOther": (open_columns, "industry = 'Tech'"),
        "user/default/MrCEO": (open_columns, "all"),
        "group/default/eng": (open_columns, "region = 'AWS,INC'"),
        "group/default/board": ([*open_columns, "margin"], "none"),
    }


def test_the_files_are_a_policy_and_its_rules(tmp_path: Path) -> None:
    policy, rules = importing(tmp_path).files
    assert (policy.name, rules.name) == ("quicksight-bi.sales.yaml", "quicksight-bi.sales.csv")
    assert 'rules:\n      file: "quicksight-bi.sales.csv"' in policy.text
    assert rules.text.splitlines() == [
        "UserName,GroupName,region,industry,segment",
        'john,,AMER,"Finance,Energy","Enterprise,Strategic"',
        "jane,,EMEA,Healthcare,",
        "jane,,EMEA,,SMB",
        "ann,,,Tech,",
        "ceo,,,,",
        ',engineers,"""AWS,INC""",,',
    ]


def by_arn(dataset: dict[str, Any]) -> None:
    del dataset["RowLevelPermissionDataSet"]["Namespace"]
    dataset["RowLevelPermissionDataSet"]["FormatVersion"] = "VERSION_2"


def test_rules_by_arn_mean_the_same_identities_and_none_of_another_account(tmp_path: Path) -> None:
    prefix = "arn:aws:quicksight:eu-west-1:111122223333:"
    mapping = {f"{prefix}{key}": written for key, written in MAPPING.items()}
    rules = (RECORDED / "rules-by-arn.csv").read_text()
    imported = importing(tmp_path, change=by_arn, rules=rules, mapping=mapping)
    found = views(imported)
    assert found["user/default/JohnDoe"][1] == "region = 'AMER'"
    assert found["group/default/eng"][1] == "region IN ('APAC', 'EMEA')"
    assert [(each.place, "another account" in each.reason) for each in imported.left_out] == [("rules.csv:4", True)]


def test_a_reader_group_counts_beside_the_users_of_it(tmp_path: Path) -> None:
    imported = importing(tmp_path, readers=(mapped("group:engineers", ISSUERS),))
    found = views(imported)
    assert found["user/default/AnnOther"][1] == "industry = 'Tech' | region = 'AWS,INC'"
    assert found["group/default/eng"][1] == "region = 'AWS,INC'"
    assert "a reader whom no rule names" not in found


def test_two_identities_mapped_to_one_principal_are_shown_as_different(tmp_path: Path) -> None:
    imported = importing(tmp_path, mapping={**MAPPING, "user/default/JaneDoe": "user:john"})
    assert {each.who for each in imported.different} == {"user/default/JohnDoe", "user/default/JaneDoe"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("Nobody,,AMER,,", "not in the mapping"),
        ("johndoe,,AMER,,", "not in the mapping"),
        ("JohnDoe,eng,AMER,,", "both a user and a group"),
        (",,AMER,,", "names nobody"),
        ('JohnDoe,,"AMER,",,', "empty element"),
        ('JohnDoe,,"A""B",,', "a quote inside a value"),
        ('JohnDoe,,"""AWS""x",,', "a quote inside a value"),
        ('JohnDoe,,"A\nB",,', "line break"),
    ],
)
def test_a_row_that_cannot_be_said_is_left_out(tmp_path: Path, row: str, reason: str) -> None:
    rules = f"UserName,GroupName,Region,Industry,Segment\n{row}\nMrCEO,,,,\n"
    imported = importing(tmp_path, rules=rules)
    assert imported.different == ()
    assert [reason in each.reason for each in imported.left_out] == [True]
    assert len(imported.files[1].text.splitlines()) == 2


def test_a_column_of_which_no_principal_is_mapped_is_closed(tmp_path: Path) -> None:
    mapping = {
        key: value for key, value in MAPPING.items() if key not in {"user/default/JohnDoe", "group/default/board"}
    }
    imported = importing(tmp_path, mapping=mapping)
    assert all("margin" not in columns for columns, _ in views(imported).values())
    assert "margin" not in imported.files[0].text
    assert any("stays closed" in each.reason for each in imported.left_out)


def deny(dataset: dict[str, Any]) -> None:
    dataset["RowLevelPermissionDataSet"]["PermissionPolicy"] = "DENY_ACCESS"


def disable(dataset: dict[str, Any]) -> None:
    dataset["RowLevelPermissionDataSet"]["Status"] = "DISABLED"


def filter_rows(dataset: dict[str, Any]) -> None:
    dataset["LogicalTableMap"]["l1"]["DataTransforms"].append({"FilterOperation": {"ConditionExpression": "x"}})


def join(dataset: dict[str, Any]) -> None:
    dataset["LogicalTableMap"]["l1"]["Source"] = {"JoinInstruction": {}}


def custom_sql(dataset: dict[str, Any]) -> None:
    dataset["PhysicalTableMap"] = {"p1": {"CustomSql": {}}}


def other_column(dataset: dict[str, Any]) -> None:
    dataset["OutputColumns"].append({"Name": "extra", "Type": "STRING"})


def number_field(dataset: dict[str, Any]) -> None:
    dataset["OutputColumns"][0]["Type"] = "INTEGER"


def second_rules(dataset: dict[str, Any]) -> None:
    rules = {"Arn": "x", "PermissionPolicy": "GRANT_ACCESS"}
    table_map = {"t": {"Alias": "t", "DestinationTableId": "d"}}
    table_map["t"]["RowLevelPermissionConfiguration"] = {"RowLevelPermissionDataSet": rules}  # type: ignore[assignment]
    dataset["SemanticModelConfiguration"] = {"TableMap": table_map}


def no_rules(dataset: dict[str, Any]) -> None:
    del dataset["RowLevelPermissionDataSet"]


def tags_only(dataset: dict[str, Any]) -> None:
    no_rules(dataset)
    dataset["RowLevelPermissionTagConfiguration"] = {"TagRules": []}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (deny, "DENY_ACCESS"),
        (disable, "DISABLED"),
        (filter_rows, "FilterOperation"),
        (join, "it joins"),
        (custom_sql, "CustomSql"),
        (other_column, "`extra` is none of lake.bi.sales"),
        (number_field, "`Region` of its rules is no text column"),
        (second_rules, "several rules datasets"),
        (by_arn, "do not agree"),
        (no_rules, "no rules dataset, but a CSV was given"),
        (tags_only, "session tags alone"),
    ],
)
def test_what_cannot_be_said_grants_nothing(tmp_path: Path, change: Change, reason: str) -> None:
    imported = importing(tmp_path, change=change)
    assert imported.files == ()
    assert any(reason in each.reason for each in imported.left_out)


def test_rules_that_deny_are_kept_where_that_is_asked(tmp_path: Path) -> None:
    rules = 'UserName,GroupName,Region,Industry\nJohnDoe,,AMER,\nJohnDoe,,EMEA,Tech\nMrCEO,,,\n,eng,"A,B",\n'
    imported = importing(tmp_path, change=deny, rules=rules, allow_deny=True)
    assert imported.left_out == ()
    assert 'permission_policy: "DENY_ACCESS"\n    allow_deny: true\n' in imported.files[0].text
    rows = {who: shown for who, (_, shown) in views(imported).items()}
    assert rows == {
        "a reader whom no rule names": "all",
        "group/default/board": "all",
        "group/default/eng": "NOT (region IN ('A', 'B'))",
        "user/default/JohnDoe": "NOT (((industry = 'Tech' AND region = 'EMEA') OR region = 'AMER'))",
        "user/default/MrCEO": "none",
    }


@pytest.mark.parametrize("row", [",finance,x,", "Nobody,,x,", 'JohnDoe,,"a,,b",', ",eng,x\ty\x01,"])
def test_rules_that_deny_are_kept_whole_or_not_at_all(tmp_path: Path, row: str) -> None:
    """A row that is left out would show what it describes."""
    rules = f"UserName,GroupName,Region,Industry\nMrCEO,,,\n{row}\n"
    imported = importing(tmp_path, change=deny, rules=rules, allow_deny=True)
    assert imported.files == ()
    assert any("without one of their rows they would show more" in each.reason for each in imported.left_out)


def test_rules_without_their_csv_grant_nothing(tmp_path: Path) -> None:
    imported = importing(tmp_path, rules=None)
    assert imported.files == ()
    assert ["whose CSV was not given" in each.reason for each in imported.left_out] == [True]


def test_without_readers_nobody_gets_a_grant(tmp_path: Path) -> None:
    imported = importing(tmp_path, readers=())
    assert imported.files == ()
    assert ["nobody gets a grant" in each.reason for each in imported.left_out] == [True]


def test_a_dataset_without_rules_shows_its_columns_to_its_readers(tmp_path: Path) -> None:
    imported = importing(tmp_path, change=no_rules, rules=None)
    assert views(imported)["a reader whom no rule names"] == (["region", "industry", "segment", "amount"], "all")


def test_a_mistake_of_the_translation_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation control: a cell that is lost on the way would open rows."""
    from penstock_server.importers.quicksight import translation

    def losing(cells: list[str]) -> str:
        return ",".join(cells[:-1]) + ","

    monkeypatch.setattr(translation, "_line", lambda cells: losing(cells) if cells[0] == "jane" else ",".join(cells))
    imported = importing(tmp_path, rules="UserName,GroupName,Region\nJaneDoe,,EMEA\nMrCEO,,AMER\n")
    assert [each.who for each in imported.different] == ["user/default/JaneDoe"]


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ("\ufeffUserName,Region\n", "byte order mark"),
        ("Region\nAMER\n", "needs `UserName`"),
        ("UserName,GroupARN,Region\n", "not both kinds"),
        ("UserName,groupname,Region\n", "case-sensitive"),
        ("UserName,Region,region\n", "differ by case"),
        ("UserName,Region,\n", "has no name"),
        ("UserName,Region\nJohnDoe\n", ":2: has 1 fields"),
        ("UserName,Region\nJohnDoe,A,B\n", ":2: has 3 fields"),
        ('UserName,Region\nJohnDoe,"A\n', "is no CSV"),
        ("", "has no name"),
    ],
)
def test_a_rules_file_that_can_be_read_in_two_ways_is_refused(tmp_path: Path, rules: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        importing(tmp_path, rules=rules)
    assert problem in str(caught.value)


def test_a_rules_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rules.csv").write_bytes(b"UserName,Region\nJohnDoe,\xff\n")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read_sheet(tmp_path / "rules.csv")


def test_a_member_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    def unknown(dataset: dict[str, Any]) -> None:
        dataset["CellLevelPermissions"] = []

    with pytest.raises(ConfigurationError, match="does not know"):
        importing(tmp_path, change=unknown)


def test_a_principal_that_is_mapped_twice_is_refused(tmp_path: Path) -> None:
    arn = "arn:aws:quicksight:us-east-1:111122223333:user/default/JohnDoe"
    with pytest.raises(ConfigurationError, match="mapped twice"):
        importing(tmp_path, mapping={**MAPPING, arn: "user:other"})
