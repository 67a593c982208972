"""A rule over a column that is not shown tells it, by which rows or cells appear."""

from __future__ import annotations

from pathlib import Path

import pytest
from penstock_server.policy.proof.budget import DEFAULT_BUDGET
from penstock_server.policy.proof.findings import Narrowing
from penstock_server.policy.proof.plan import compare
from penstock_server.policy.proof.wording import Wording
from support.policies import ISSUER, NOW, bind_policy, table

_STAFF = table("lake.hr.staff", {"name": "VARCHAR", "dept": "VARCHAR", "salary": "INTEGER"})


def _policy(*grants: str) -> str:
    lines = [
        f'  - {{name: g{number}, principals: ["user:bob"], resource: lake.hr.staff, permissions: [SELECT], {grant}}}'
        for number, grant in enumerate(grants)
    ]
    return "\n".join(["version: 1", "masks: {gone: {rank: 1, builtin: redact}}", "grants:", *lines])


_NAMES = _policy("columns: {include: [name, dept]}")


def _notices(old: str, new: str, folder: Path) -> list[str]:
    plan = compare(bind_policy(folder, old, _STAFF), bind_policy(folder, new, _STAFF), at=NOW, budget=DEFAULT_BUDGET)
    wording = Wording(default_issuer=ISSUER, since=NOW)
    return [wording.inference(notice) for subject in plan.subjects for notice in subject.notices]


def test_a_rule_over_a_hidden_column_is_noticed_with_both_rows(tmp_path: Path) -> None:
    new = _policy("columns: {include: [name, dept]}, rows: 'salary > 100000'")
    plan = compare(
        bind_policy(tmp_path, _NAMES, _STAFF), bind_policy(tmp_path, new, _STAFF), at=NOW, budget=DEFAULT_BUDGET
    )
    (subject,) = plan.subjects
    assert isinstance(subject.verdict, Narrowing)
    (notice,) = subject.notices
    assert (notice.column, notice.betrayed_by, notice.who.username) == ("salary", None, "bob")
    assert (notice.shown, notice.hidden) == ((("salary", "100001"),), (("salary", "100000"),))
    assert Wording(default_issuer=ISSUER, since=NOW).inference(notice) == (
        "salary is not shown to bob, yet the row is there for salary=100001 and not for salary=100000: "
        "which ones appear tells it"
    )


@pytest.mark.parametrize(
    "grants",
    [
        pytest.param(["columns: {include: [name, dept]}, rows: \"dept = 'x'\""], id="the column is shown"),
        pytest.param(["columns: {include: [name, dept]}"], id="no rule"),
        pytest.param(
            ["columns: {include: [name, dept]}, rows: 'salary > 5 OR salary <= 5 OR salary IS NULL'"], id="tautology"
        ),
    ],
)
def test_what_tells_nothing_is_not_noticed(grants: list[str], tmp_path: Path) -> None:
    assert _notices(_policy("columns: {include: [name]}"), _policy(*grants), tmp_path) == []


@pytest.mark.parametrize(
    ("grants", "betrayed_by"),
    [
        (["rows: 'salary > 10', masks: {salary: gone}"], "the row"),
        (["columns: {include: [name, dept]}", "columns: {include: [name, dept]}, rows: 'salary < 10'"], None),
        (["columns: {include: [name]}", "columns: {include: [dept]}, rows: 'salary < 10'"], "dept of the row"),
    ],
)
def test_masked_columns_and_single_cells_betray_too(grants: list[str], betrayed_by: str | None, tmp_path: Path) -> None:
    notices = _notices(_policy("columns: {include: [name]}, rows: \"name = 'x'\""), _policy(*grants), tmp_path)
    if betrayed_by is None:
        assert notices == []
    else:
        (notice,) = notices
        assert notice.startswith(f"salary is not shown to bob, yet {betrayed_by} is there for salary=")


def test_what_betrayed_before_is_not_news(tmp_path: Path) -> None:
    old = _policy("columns: {include: [name, dept]}, rows: 'salary > 100000'")
    new = _policy("columns: {include: [name, dept]}, rows: 'salary > 200000'")
    assert _notices(old, new, tmp_path) == []
