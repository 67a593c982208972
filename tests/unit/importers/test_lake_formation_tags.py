"""LF-tags of Lake Formation to a policy file: which columns they show, and what is left out so that nothing opens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from penstock_server.errors import ConfigurationError
from penstock_server.importers.outcome import Imported
from support.imports import ACCOUNT, ROLE, convert_lake, lake_table, only, permission

Answers = dict[str, Any]
PUBLIC = ("classification", "public")
PII = ("classification", "pii")


def tag(key: str, *values: str, catalog: str = ACCOUNT) -> dict[str, Any]:
    return {"CatalogId": catalog, "TagKey": key, "TagValues": list(values)}


def by_tags(*terms: tuple[str, ...], kind: str = "TABLE", given: tuple[str, ...] = ("SELECT",)) -> dict[str, Any]:
    expression = [{"TagKey": key, "TagValues": list(values)} for key, *values in terms]
    policy = {"CatalogId": ACCOUNT, "ResourceType": kind, "Expression": expression}
    return permission({"LFTagPolicy": policy}, *given)


def named(name: str) -> dict[str, Any]:
    return permission(
        {"LFTagPolicy": {"CatalogId": ACCOUNT, "ResourceType": "TABLE", "ExpressionName": name}}, "SELECT"
    )


def estate(
    *permissions: dict[str, Any],
    t: dict[str, Any] | None,
    u: dict[str, Any] | None,
    attachments: tuple[Any, ...] = (),
    more: Answers | None = None,
) -> Callable[[Answers], None]:
    """Give a change to these permissions and tags of the tables t and u; None = they were not asked for."""
    clear = only(*permissions, attachments=attachments)

    def change(answers: Answers) -> None:
        clear(answers)
        for name, tags in (("t", t), ("u", u)):
            if tags is not None:
                answers[f"get-resource-lf-tags.db.{name}"] = tags
        answers.update(more or {})

    return change


def tags(
    database: tuple[dict[str, Any], ...] = (), own: tuple[dict[str, Any], ...] = (), **columns: dict[str, Any]
) -> dict[str, Any]:
    return {
        "LFTagOnDatabase": list(database),
        "LFTagsOnTable": list(own),
        "LFTagsOnColumns": [{"Name": name, "LFTags": [value]} for name, value in columns.items()],
    }


def columns(imported: Imported, table: str) -> list[str] | None:
    """Give the columns on which both sides agree; None where neither shows anything."""
    assert imported.different == ()
    found = [each for each in imported.compared if str(each.table) == f"lake.db.{table}"]
    if not found or not found[0].policy.described:
        return None
    return [name for name, _ in found[0].policy.columns]


def test_the_recorded_tags_and_the_grant_by_them_are_carried_over(tmp_path: Path) -> None:
    imported = convert_lake(tmp_path)
    assert imported.different == ()
    text = imported.files[0].text
    assert 'tag_expression:\n      classification: ["public"]' in text
    assert '- resource: "lake.db"\n    tags:\n      classification: "public"' in text
    assert '- resource: "lake.db.t"\n    columns: ["ssn"]\n    tags:\n      classification: "pii"' in text
    assert '"id"' not in text.split("tagged:")[1].split("grants:")[0]


def test_a_column_that_overrides_its_table_is_left_out(tmp_path: Path) -> None:
    database = (tag(*PUBLIC),)
    imported = convert_lake(
        tmp_path, estate(by_tags(PUBLIC), t=tags(database, (), ssn=tag(*PII)), u=tags(database, (tag(*PII),)))
    )
    assert columns(imported, "t") == ["id", "country", "year", "amount"]
    assert columns(imported, "u") is None
    assert imported.left_out == ()


def test_keys_join_by_and_values_by_or_and_a_star_is_any_value(tmp_path: Path) -> None:
    grant = by_tags(("classification", "public", "pii"), ("team", "*"))
    found = tags((), (tag("Classification", "PUBLIC"),), id=tag("team", "a"), ssn=tag("team", "b"), year=tag(*PII))
    imported = convert_lake(tmp_path, estate(grant, t=found, u=tags((tag("team", "a"),))))
    assert columns(imported, "t") == ["id", "ssn"]
    assert columns(imported, "u") is None
    assert 'team: ["*"]' in imported.files[0].text


def test_a_named_expression_is_what_it_stands_for(tmp_path: Path) -> None:
    saved = {"LFTagExpressions": [{"Name": "n", "CatalogId": ACCOUNT, "Expression": [tag_of(*PUBLIC)]}]}
    imported = convert_lake(
        tmp_path, estate(named("n"), t=tags((), (), id=tag(*PUBLIC)), u=tags(), more={"list-lf-tag-expressions": saved})
    )
    assert columns(imported, "t") == ["id"]


def tag_of(key: str, *values: str) -> dict[str, Any]:
    return {"TagKey": key, "TagValues": list(values)}


def test_all_by_tags_is_read_and_describe(tmp_path: Path) -> None:
    """The golden vector: ALL with a tag expression gives SELECT and DESCRIBE only."""
    grant = by_tags(PUBLIC, given=("ALL", "ALTER"))
    imported = convert_lake(tmp_path, estate(grant, t=tags((), (), id=tag(*PUBLIC)), u=tags()))
    assert columns(imported, "t") == ["id"]
    assert 'permissions: ["SELECT"]' in imported.files[0].text
    assert [each.reason.split(",")[0] for each in imported.left_out] == ["tables are only read here"] * 2


def test_describe_by_tags_is_described(tmp_path: Path) -> None:
    grant = by_tags(PUBLIC, given=("DESCRIBE",))
    imported = convert_lake(tmp_path, estate(grant, t=tags((), (), id=tag(*PUBLIC)), u=tags()))
    assert columns(imported, "t") == []
    assert columns(imported, "u") is None


def test_a_table_whose_tags_are_not_known_takes_none_of_its_database(tmp_path: Path) -> None:
    """Its columns may have tags of their own that close them."""
    imported = convert_lake(tmp_path, estate(by_tags(PUBLIC), t=tags((tag(*PUBLIC),)), u=None))
    assert columns(imported, "t") == ["id", "country", "year", "amount", "ssn"]
    assert columns(imported, "u") is None
    assert [each.what for each in imported.left_out] == ["LF-tags of lake.db.u"]
    assert '- resource: "lake.db"\n' not in imported.files[0].text


@pytest.mark.parametrize(
    ("on_column", "reason"),
    [
        (tag("classification", ""), "one of its values is empty"),
        (tag("classification", "a*"), "characters that cannot be said here"),
        (tag("classification", "pii", catalog="444455556666"), "a tag of the account 444455556666"),
    ],
)
def test_a_key_that_cannot_be_said_everywhere_takes_its_grants_along(
    tmp_path: Path, on_column: dict[str, Any], reason: str
) -> None:
    """Without the tag of the column, the column would have that of its table, and be opened by it."""
    imported = convert_lake(tmp_path, estate(by_tags(PUBLIC), t=tags((tag(*PUBLIC),), ssn=on_column), u=tags()))
    assert imported.files == ()
    assert imported.different == ()
    assert all(reason in each.reason for each in imported.left_out)
    assert [each.what.split()[0] for each in imported.left_out] == ["LF-tag", "SELECT"]


@pytest.mark.parametrize(
    ("grant", "reason"),
    [
        (by_tags(PUBLIC, kind="DATABASE"), "databases themselves"),
        (named("gone"), "not among the answers"),
        (by_tags(("classification", "a*")), "cannot be said here"),
        (
            permission(
                {
                    "LFTagPolicy": {
                        "CatalogId": "444455556666",
                        "ResourceType": "TABLE",
                        "Expression": [tag_of(*PUBLIC)],
                    }
                },
                "SELECT",
            ),
            "tags of the catalog 444455556666",
        ),
        (permission({"LFTag": {"TagKey": "k", "TagValues": ["v"]}}, "ASSOCIATE"), "nobody may assign LF-tags here"),
        (permission({"LFTagExpression": {"Name": "n"}}, "DESCRIBE"), "nobody may grant by LF-tags here"),
    ],
)
def test_a_grant_by_tags_that_cannot_be_said_is_left_out(tmp_path: Path, grant: dict[str, Any], reason: str) -> None:
    imported = convert_lake(tmp_path, estate(grant, t=None, u=None))
    assert imported.files == ()
    assert [reason in each.reason for each in imported.left_out] == [True]


def test_a_grant_by_tags_that_may_reach_a_table_under_a_row_policy_is_left_out(tmp_path: Path) -> None:
    attached = {
        "CatalogId": ACCOUNT,
        "PolicyName": "regions",
        "Principal": {"DataLakePrincipalIdentifier": f"{ROLE}finance"},
        "Resource": lake_table("t"),
    }
    found = tags((tag(*PUBLIC),))
    imported = convert_lake(tmp_path, estate(by_tags(PUBLIC), t=found, u=found, attachments=(attached,)))
    assert columns(imported, "t") is None
    assert columns(imported, "u") is None
    assert any("under a row-level security policy" in each.reason for each in imported.left_out)
    elsewhere = tags((tag(*PII),))
    imported = convert_lake(tmp_path / "b", estate(by_tags(PUBLIC), t=elsewhere, u=found, attachments=(attached,)))
    assert columns(imported, "u") == ["id", "rate", "ok", "price"]


def test_tags_of_what_is_not_here_are_listed(tmp_path: Path) -> None:
    change = estate(
        by_tags(PUBLIC),
        t=tags((), (), id=tag(*PUBLIC), gone=tag(*PII)),
        u=tags(),
        more={"get-resource-lf-tags.db.gone": tags()},
    )
    imported = convert_lake(tmp_path, change)
    assert [each.what for each in imported.left_out] == [
        "LF-tags of db.gone",
        "LF-tags of the column `gone` of lake.db.t",
    ]


def two_values(answers: Answers) -> None:
    answers["get-resource-lf-tags.db.t"]["LFTagsOnTable"] = [tag("classification", "a", "b")]


def a_key_twice(answers: Answers) -> None:
    answers["get-resource-lf-tags.db.t"]["LFTagsOnTable"] = [tag("team", "a"), tag("Team", "b")]


def a_column_twice(answers: Answers) -> None:
    answers["get-resource-lf-tags.db.t"]["LFTagsOnColumns"] = [{"Name": name, "LFTags": []} for name in ("id", "ID")]


def without_its_table(answers: Answers) -> None:
    answers["tags"] = answers.pop("get-resource-lf-tags.db.t")


def of_a_database(answers: Answers) -> None:
    answers["get-resource-lf-tags.db"] = answers.pop("get-resource-lf-tags.db.t")


def an_unknown_member(answers: Answers) -> None:
    answers["get-resource-lf-tags.db.t"]["LFTagsOnFields"] = []


def no_terms(answers: Answers) -> None:
    answers["list-permissions"]["PrincipalResourcePermissions"] = [by_tags()]


def terms_and_a_name(answers: Answers) -> None:
    both = by_tags(PUBLIC)
    both["Resource"]["LFTagPolicy"]["ExpressionName"] = "sales data"
    answers["list-permissions"]["PrincipalResourcePermissions"] = [both]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (two_values, "a resource has one value of a tag"),
        (a_key_twice, "a resource has one value of a tag"),
        (a_column_twice, "the column `id` stands twice"),
        (without_its_table, "does not say of which table"),
        (of_a_database, "get-resource-lf-tags.DATABASE.TABLE.json"),
        (an_unknown_member, "holds `LFTagsOnFields`"),
        (no_terms, "with at least one tag"),
        (terms_and_a_name, "must hold either `Expression`"),
    ],
)
def test_answers_about_tags_that_may_mean_something_else_are_refused(
    tmp_path: Path, change: Callable[[Answers], None], problem: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        convert_lake(tmp_path, change)
    assert problem in str(caught.value)


def test_an_override_that_gets_lost_on_the_way_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation control: a policy without the tags of columns must not pass as equal."""
    from penstock_server.importers.lakeformation import tags as translation

    kept = translation.TagTranslation.entries

    def without_columns(self: translation.TagTranslation) -> Any:
        declared, tagged = kept(self)
        return declared, [entry for entry in tagged if "columns" not in dict(entry)]

    monkeypatch.setattr(translation.TagTranslation, "entries", without_columns)
    assert [str(each.table) for each in convert_lake(tmp_path).different] == ["lake.db.t"]
