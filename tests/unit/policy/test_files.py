"""Policy files on disk: which are read, and what the version of a policy is a hash of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from penstock_server.errors import ConfigurationError
from penstock_server.model.decision import PolicyVersion
from penstock_server.policy.reading.files import load
from support.policies import ISSUERS, write_policies

GRANT = "version: 1\ngrants:\n  - {{name: {0}, principals: [everyone], resource: lake.db.{0}, permissions: [SELECT]}}\n"
RULES = "version: 1\nrow_rules:\n  - {resource: lake.db.t, name: r, rules: {file: rules.csv}}\n"


def names(*paths: Path) -> list[str]:
    return [grant.name for grant in load(paths, ISSUERS).table_grants]


def version(folder: Path, **files: str) -> PolicyVersion:
    folder.mkdir()
    return load(
        (write_policies(folder, {name.replace("_", "."): text for name, text in files.items()}),), ISSUERS
    ).version


def problems(*paths: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load(paths, ISSUERS)
    return caught.value.problems


def test_a_folder_is_read_with_the_folders_below_it(tmp_path: Path) -> None:
    policies = write_policies(
        tmp_path,
        {"b.yaml": GRANT.format("b"), "a/x.yml": GRANT.format("a"), "a/c/y.yaml": GRANT.format("c"), "README.md": "#"},
    )
    assert names(policies) == ["a", "b", "c"]


def test_a_file_that_is_named_twice_counts_once(tmp_path: Path) -> None:
    policies = write_policies(tmp_path, {"a.yaml": GRANT.format("a")})
    assert names(policies, policies / "a.yaml", policies) == ["a"]


def test_a_linked_file_and_a_linked_folder_are_read_once(tmp_path: Path) -> None:
    policies = write_policies(tmp_path, {"..data/a.yaml": GRANT.format("a"), "..data/sub/b.yaml": GRANT.format("b")})
    os.symlink("..data/a.yaml", policies / "a.yaml")
    os.symlink("..data/sub", policies / "sub")
    os.symlink(policies, policies / "..data" / "sub" / "loop")
    assert names(policies) == ["a", "b"]


def test_a_file_among_policies_that_would_not_be_read_is_a_problem(tmp_path: Path) -> None:
    """A rules dataset in `regions.yaml.old` that nobody reads would leave every row open."""
    policies = write_policies(tmp_path, {"a.yaml": GRANT.format("a"), "regions.yaml.old": RULES, "b.json": "{}"})
    assert problems(policies) == tuple(
        f"{policies}/{name}: is no policy file, yet lies among them; end it in `.yaml` or `.yml`, or move it away"
        for name in ("b.json", "regions.yaml.old")
    )


def test_a_missing_path_and_a_folder_without_policies_are_problems(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "rules.csv").write_text("UserName\n")
    assert problems(tmp_path / "nope", empty) == (
        f"{empty}: holds no policy file; one ends in `.yaml` or `.yml`",
        f"{tmp_path}/nope: there is no such file or folder; correct `policies` in the configuration",
    )


def test_no_policy_path_at_all_shows_nothing() -> None:
    assert load((), ISSUERS).table_grants == ()


def test_one_wrong_file_refuses_the_others_too(tmp_path: Path) -> None:
    policies = write_policies(tmp_path, {"a.yaml": GRANT.format("a"), "b.yaml": "grants: {"})
    assert problems(policies)[0].startswith(f"{policies}/b.yaml:2: ")


def test_the_version_does_not_depend_on_layout_order_or_file(tmp_path: Path) -> None:
    one = version(tmp_path / "1", a_yaml=GRANT.format("a") + GRANT.format("b").partition("grants:\n")[2])
    two = version(tmp_path / "2", z_yaml=GRANT.format("a"), b_yaml="# comment\n" + GRANT.format("b"))
    three = version(tmp_path / "3", a_yaml=GRANT.format("b"), b_yaml=GRANT.format("a").replace("{", "{ "))
    keys = "  - {permissions: [SELECT], resource: lake.db.a, principals: ['everyone'], name: a}\n"
    four = version(tmp_path / "4", a_yaml="version: 1\ngrants:\n" + keys, b_yaml=GRANT.format("b"))
    assert one == two == three == four
    assert len(one) == 64


@pytest.mark.parametrize(
    "change",
    [
        GRANT.format("a").replace("SELECT", "DESCRIBE"),
        GRANT.format("a").replace("everyone", "user:everyone"),
        GRANT.format("a").replace("permissions", "expires: 2027-01-01T00:00:00Z, permissions"),
        GRANT.format("a") + GRANT.format("b").partition("grants:\n")[2],
    ],
)
def test_the_version_depends_on_every_word(tmp_path: Path, change: str) -> None:
    assert version(tmp_path / "1", a_yaml=GRANT.format("a")) != version(tmp_path / "2", a_yaml=change)


def test_the_version_depends_on_every_byte_of_a_rules_dataset(tmp_path: Path) -> None:
    versions = {
        version(tmp_path / str(number), a_yaml=RULES, rules_csv=text)
        for number, text in enumerate(["UserName,s\n", "UserName,s", "UserName,s\nalice,x\n", "UserName,s\nalice,y\n"])
    }
    assert len(versions) == 4


def test_a_rules_dataset_is_found_beside_its_policy_file(tmp_path: Path) -> None:
    policies = write_policies(
        tmp_path,
        {"sub/a.yaml": RULES.replace("rules.csv", "../data/r.csv"), "data/r.csv": "UserName,s\nalice,x\n"},
    )
    table = load((policies,), ISSUERS).row_rules[0].table
    assert table is not None
    assert table.fields == ("s",)


def test_a_rules_dataset_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    policies = write_policies(tmp_path, {"a.yaml": RULES})
    (policies / "rules.csv").mkdir()
    assert problems(policies) == (f"{policies}/a.yaml:3: `{policies}/rules.csv` is not a regular file",)


def test_half_a_character_is_refused_wherever_text_stands(tmp_path: Path) -> None:
    policies = write_policies(tmp_path, {"a.yaml": GRANT.format("a").replace("everyone", '"user:\\uD800"')})
    assert problems(policies)[0].startswith(f"{policies}/a.yaml:3: ")


def test_a_rules_dataset_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    policies = write_policies(tmp_path, {"a.yaml": RULES})
    (policies / "rules.csv").write_bytes(b"UserName,s\nalice,x\nbob,\xe4\n")
    assert problems(policies) == (f"{policies}/rules.csv:3: is not UTF-8; save it as UTF-8",)
    (policies / "rules.csv").write_bytes("UserName,s\n".encode("utf-16"))
    assert "byte order mark" in problems(policies)[0]


def test_a_rules_dataset_with_the_same_mistake_in_every_row_is_reported_in_part(tmp_path: Path) -> None:
    policies = write_policies(tmp_path, {"a.yaml": RULES, "rules.csv": "UserName,s\n" + "bob\n" * 1000})
    assert len(problems(policies)) == 20
