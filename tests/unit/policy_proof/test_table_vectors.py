"""Golden vectors of changes to one table: `tables.yaml` and `tags.yaml` of `tests/vectors/policy_proof`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from penstock_server.model.schema import CatalogSnapshot
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.proof.budget import DEFAULT_BUDGET, Budget
from penstock_server.policy.proof.findings import Narrowing, Same, SubjectPlan, Undecided, Widening
from penstock_server.policy.proof.later_columns import with_later_columns
from penstock_server.policy.proof.plan import compare
from penstock_server.policy.proof.wording import Wording, verdict_word
from support.policies import ISSUER, NOW, bind_policy, table
from support.proof_checks import LAZY

VECTORS = Path(__file__).parents[2] / "vectors" / "policy_proof"

_FLIGHTS = {
    "month": "INTEGER",
    "origin": "VARCHAR",
    "tailnum": "VARCHAR",
    "dep_delay": "DOUBLE",
    "day": "DATE",
    "t": "TIMESTAMP",
    "fare": "DECIMAL(6,2)",
    "cancelled": "BOOLEAN",
}
_GRANT = """\
version: 1
grants:
  - name: ops
    principals: ["group:ops"]
    resource: lake.nyc.flights
    permissions: [SELECT]
    rows: "{}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    id: str
    old: str
    new: str
    verdict: str
    gains: tuple[str, ...] = ()
    losses: tuple[str, ...] | None = None
    old_rules: str = ""
    new_rules: str = ""


def _vector(case: dict[str, Any]) -> Vector:
    fields: dict[str, Any] = {name: tuple(text) if isinstance(text, list) else text for name, text in case.items()}
    return Vector(**fields)


CASES = [
    _vector(case) for name in ("tables.yaml", "tags.yaml") for case in yaml.safe_load((VECTORS / name).read_text())
]


def _bound(text: str, rules: str, folder: Path) -> BoundPolicy:
    snapshot = with_later_columns(CatalogSnapshot(tables=(table("lake.nyc.flights", _FLIGHTS, "acme/flights/"),)))
    policy = text if text.startswith("version") else _GRANT.format(text)
    return bind_policy(folder, policy, *snapshot.tables, **({"rules": rules} if rules else {}))


def _subject(case: Vector, folder: Path, budget: Budget) -> SubjectPlan | None:
    plan = compare(
        _bound(case.old, case.old_rules, folder), _bound(case.new, case.new_rules, folder), at=NOW, budget=budget
    )
    return plan.subjects[0] if plan.subjects else None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_change_has_the_verdict_and_the_findings_of_the_vector(case: Vector, tmp_path: Path) -> None:
    subject = _subject(case, tmp_path, DEFAULT_BUDGET)
    verdict = Same() if subject is None else subject.verdict
    assert verdict_word(verdict) == case.verdict
    assert (subject is None) == (case.verdict == "SAME")
    wording = Wording(default_issuer=ISSUER, since=NOW)
    if subject is not None and isinstance(verdict, Widening):
        assert case.gains == () or tuple(wording.gain(gain, subject) for gain in verdict.gains) == case.gains
        assert verdict.open_questions == ()
        assert case.losses is None or tuple(wording.loss(loss, subject) for loss in verdict.losses) == case.losses
    if subject is not None and isinstance(verdict, Narrowing):
        assert verdict.losses
        assert case.losses is None or tuple(wording.loss(loss, subject) for loss in verdict.losses) == case.losses
    if isinstance(verdict, Undecided):
        assert all("does not bear out" in reason for reason in verdict.reasons)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_with_patterns_left_free_the_verdict_is_the_same(case: Vector, tmp_path: Path) -> None:
    subject = _subject(case, tmp_path, LAZY)
    assert ("SAME" if subject is None else verdict_word(subject.verdict)) == case.verdict


@pytest.mark.parametrize("case", [case for case in CASES if case.verdict == "SAME"], ids=lambda case: case.id)
def test_the_same_is_the_same_either_way(case: Vector, tmp_path: Path) -> None:
    turned = Vector(
        id=case.id,
        old=case.new,
        new=case.old,
        old_rules=case.new_rules,
        new_rules=case.old_rules,
        verdict=case.verdict,
    )
    assert _subject(turned, tmp_path, DEFAULT_BUDGET) is None
