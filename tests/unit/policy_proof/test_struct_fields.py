"""What is proved of fields of structs: each is a column of its own, and so is one that comes later."""

from __future__ import annotations

from pathlib import Path

import pytest
from penstock_server.model.schema import CatalogSnapshot
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.proof.budget import DEFAULT_BUDGET
from penstock_server.policy.proof.findings import Narrowing, Same, Undecided, Widening
from penstock_server.policy.proof.later_columns import with_later_columns
from penstock_server.policy.proof.plan import compare
from penstock_server.policy.proof.wording import Wording, verdict_word
from support.policies import ISSUER, NOW, bind_policy, table

TABLE = table(
    "lake.db.t", {"id": "INTEGER", "s": "STRUCT(city VARCHAR, zip VARCHAR, geo STRUCT(lat DOUBLE, lon DOUBLE))"}
)
GRANT = "principals: [everyone], resource: lake.db.t, permissions: [SELECT]"


def bound(grants: list[str], folder: Path, rest: str = "") -> BoundPolicy:
    (extended,) = with_later_columns(CatalogSnapshot(tables=(TABLE,))).tables
    lines = "\n".join(f"  - {{name: g{number}, {GRANT}{grant}}}" for number, grant in enumerate(grants))
    return bind_policy(folder, f"version: 1\n{rest}grants:\n{lines}\n", extended)


@pytest.mark.parametrize(
    ("old", "new", "verdict", "told"),
    [
        ([", columns: {exclude: [s.zip]}"], [""], "WIDENING", "s.zip"),
        ([""], [", columns: {exclude: [s.zip]}"], "NARROWING", ""),
        (
            [", columns: {include: [s.city]}", ", columns: {include: [s.zip]}"],
            [", columns: {include: [s.zip, s.city]}"],
            "SAME",
            "",
        ),
        # A field that is added to the struct shows by a grant of the struct, and not by one of all its fields.
        ([", columns: {include: [s.city, s.zip, s.geo]}"], [", columns: {include: [s]}"], "WIDENING", "added later"),
        (
            [", columns: {include: [s.geo.lat, s.geo.lon]}"],
            [", columns: {include: [s.geo]}"],
            "WIDENING",
            "added later",
        ),
        ([", columns: {include: [s]}"], [", columns: {include: [s.city, s.zip, s.geo]}"], "NARROWING", ""),
        ([", rows: \"s.zip = '1'\""], [", rows: \"s.zip IN ('1', '2')\""], "WIDENING", "s.zip='2'"),
        ([", rows: \"s.zip IN ('1', '2') AND id = 1\""], [", rows: \"s.zip = '1' AND id = 1\""], "NARROWING", ""),
        ([", rows: s.geo.lat > 1"], [", rows: NOT (s.geo.lat <= 1)"], "SAME", ""),
        ([", rows: s IS NULL"], [", rows: s IS NULL OR s IS NULL"], "SAME", ""),
        ([", rows: s IS NOT NULL AND id = 1"], [", rows: s IS NOT NULL"], "WIDENING", "id="),
        (
            [", columns: {include: [id]}", ", columns: {include: [s.zip]}, rows: id = 1"],
            [", columns: {include: [id, s.zip]}"],
            "WIDENING",
            "s.zip of a row",
        ),
    ],
)
def test_a_change_of_fields_has_its_verdict(
    old: list[str], new: list[str], verdict: str, told: str, tmp_path: Path
) -> None:
    plan = compare(bound(old, tmp_path), bound(new, tmp_path), at=NOW, budget=DEFAULT_BUDGET)
    found = plan.subjects[0].verdict if plan.subjects else Same()
    assert verdict_word(found) == verdict
    if isinstance(found, Widening):
        wording = Wording(default_issuer=ISSUER, since=NOW)
        gains = [wording.gain(gain, plan.subjects[0]) for gain in found.gains]
        assert any(told in gain for gain in gains), gains
        assert not any("\0" in gain for gain in gains)
    assert not isinstance(found, Undecided)


MASKS = "masks: {m: {rank: 1, builtin: redact}}\n"


def test_a_mask_taken_off_a_field_is_a_widening(tmp_path: Path) -> None:
    masked = bound([", masks: {s.zip: m}"], tmp_path, MASKS)
    open_ = bound([""], tmp_path)
    (subject,) = compare(masked, open_, at=NOW, budget=DEFAULT_BUDGET).subjects
    assert isinstance(subject.verdict, Widening)
    assert [gain.things for gain in subject.verdict.gains if gain.things] == [("s.zip",)]
    (subject,) = compare(open_, masked, at=NOW, budget=DEFAULT_BUDGET).subjects
    assert isinstance(subject.verdict, Narrowing)


def test_a_hidden_field_that_chooses_the_rows_is_an_inference(tmp_path: Path) -> None:
    plan = compare(
        bound([", rows: id = 1"], tmp_path),
        bound([", columns: {exclude: [s.zip]}, rows: \"id = 1 AND s.zip = '1'\""], tmp_path),
        at=NOW,
        budget=DEFAULT_BUDGET,
    )
    assert [(notice.column, notice.betrayed_by) for notice in plan.subjects[0].notices] == [("s.zip", None)]
