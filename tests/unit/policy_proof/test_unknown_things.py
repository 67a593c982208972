"""What the proof has no reading of: undecided with a reason, never the same or narrower."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from penstock_server.model.decision import Mask
from penstock_server.model.masks import ConstantForm
from penstock_server.model.schema import ColumnType, TypeFamily
from penstock_server.policy.bound import BoundFilter, BoundGrant, BoundPolicy, BoundTable
from penstock_server.policy.filters.row_tests import Fixed
from penstock_server.policy.proof import known
from penstock_server.policy.proof.budget import DEFAULT_BUDGET, Budget
from penstock_server.policy.proof.findings import Plan, Same, SubjectKind, Undecided, Widening
from penstock_server.policy.proof.plan import compare
from support.policies import NOW, bind_policy, table

_TEXT = ColumnType(sql="VARCHAR", family=TypeFamily.TEXT)
_NOTHING = ConstantForm(when_null=None, otherwise=None)
_TABLE = table("lake.db.t", {"i": "INTEGER", "s": "VARCHAR"})
_OTHER = table("lake.db.u", {"i": "INTEGER"})


def _policy(folder: Path, rows: str = "i = 1", *, more: str = "") -> BoundPolicy:
    text = f"""
version: 1
grants:
  - {{name: g, principals: ["group:ops"], resource: lake.db.t, permissions: [SELECT], rows: "{rows}"}}
  - {{name: h, principals: ["group:ops"], resource: lake.db.u, permissions: [SELECT]}}
{more}"""
    return bind_policy(folder, text, _TABLE, _OTHER, logins=["dwh"])


def _with_filter(policy: BoundPolicy, change: Any) -> BoundPolicy:
    """Replace the filter of the one grant on the first table."""
    scope = _TABLE.name.key()
    grants = {
        selector: tuple(replace(grant, filters=(change(grant.filters[0]),)) for grant in named)
        for selector, named in policy.grants[scope].items()
    }
    return replace(policy, grants={**policy.grants, scope: grants})


def _compare(old: BoundPolicy, new: BoundPolicy) -> Plan:
    return compare(old, new, at=NOW, budget=DEFAULT_BUDGET)


def _reasons(plan: Plan) -> str:
    verdicts = [subject.verdict for subject in plan.subjects]
    assert verdicts
    assert all(isinstance(verdict, Undecided) for verdict in verdicts)
    return " ".join(reason for verdict in verdicts if isinstance(verdict, Undecided) for reason in verdict.reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class _StricterFilter(BoundFilter):
    only_on_mondays: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Regex:
    column: str
    pattern: str


def _stricter(part: BoundFilter) -> BoundFilter:
    fields = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
    return _StricterFilter(**fields, only_on_mondays=True)


def test_a_filter_of_another_kind_is_undecided_even_where_it_is_narrower(tmp_path: Path) -> None:
    old = _policy(tmp_path)
    assert "`_StricterFilter`" in _reasons(_compare(old, _with_filter(old, _stricter)))


def test_a_field_that_the_proof_does_not_know_is_never_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = _policy(tmp_path), _policy(tmp_path, "NOT (i <> 1)")
    assert _compare(old, new).subjects == ()
    for kind in (BoundFilter, BoundGrant, BoundTable):
        name = dataclasses.fields(kind)[-1].name
        fewer = {**known._KNOWN, kind: known._KNOWN[kind] - {name}}
        with monkeypatch.context() as patch:
            patch.setattr(known, "_KNOWN", fewer)
            assert f"`{kind.__name__}.{name}`" in _reasons(_compare(old, new))


def test_every_field_of_the_model_is_known() -> None:
    for kind, names in known._KNOWN.items():
        assert {field.name for field in dataclasses.fields(kind)} == names, kind


def test_a_predicate_of_another_kind_is_undecided(tmp_path: Path) -> None:
    old = _policy(tmp_path)
    regex: Any = _Regex(column="s", pattern="a.*")
    new = _with_filter(old, lambda part: replace(part, rows=Fixed(predicate=regex)))
    assert "`_Regex`" in _reasons(_compare(old, new))


def test_what_is_the_same_in_both_versions_need_not_be_understood(tmp_path: Path) -> None:
    strange = _with_filter(_policy(tmp_path), _stricter)
    same_again = _with_filter(_policy(tmp_path), _stricter)
    assert _compare(strange, same_again).subjects == ()


_DENIAL = 'denials: [{{resource: "redshift:dwh", permissions: [CONNECT], except_principals: ["group:{}"]}}]'


@pytest.fixture
def _denials_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if denials of logins were a new field of the policy as a whole."""
    fewer = known._KNOWN[BoundPolicy] - {"redshift_denials"}
    monkeypatch.setattr(known, "_KNOWN", {**known._KNOWN, BoundPolicy: fewer})


@pytest.mark.usefixtures("_denials_are_not_known")
def test_a_field_of_the_whole_policy_makes_undecided_what_it_may_bear_on(tmp_path: Path) -> None:
    denial = _DENIAL.format("a")
    assert _compare(_policy(tmp_path, more=denial), _policy(tmp_path, more=denial)).subjects == ()
    plan = _compare(_policy(tmp_path, more=denial), _policy(tmp_path, "i = 2", more=denial))
    assert [subject.name for subject in plan.subjects] == ["lake.db.t"]
    assert "`redshift_denials`" in _reasons(plan)


@pytest.mark.usefixtures("_denials_are_not_known")
def test_a_change_in_such_a_field_makes_everything_undecided(tmp_path: Path) -> None:
    plan = _compare(_policy(tmp_path, more=_DENIAL.format("a")), _policy(tmp_path, more=_DENIAL.format("b")))
    assert [(subject.kind, subject.name) for subject in plan.subjects] == [(SubjectKind.POLICY, "everything")]
    assert "`redshift_denials`" in _reasons(plan)


def test_a_policy_of_another_kind_is_undecided_as_a_whole(tmp_path: Path) -> None:
    @dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
    class LargerPolicy(BoundPolicy):
        blocks: tuple[str, ...]

    policy = _policy(tmp_path)
    fields = {field.name: getattr(policy, field.name) for field in dataclasses.fields(policy)}
    plan = _compare(policy, LargerPolicy(**fields, blocks=()))
    assert [(subject.kind, subject.name) for subject in plan.subjects] == [(SubjectKind.POLICY, "everything")]
    assert "`LargerPolicy`" in _reasons(plan)


def test_a_column_that_changes_its_type_is_undecided(tmp_path: Path) -> None:
    text = "version: 1\ngrants: [{name: g, principals: [everyone], resource: lake.db.t, permissions: [SELECT]}]"
    old = bind_policy(tmp_path, text, table("lake.db.t", {"i": "INTEGER"}))
    new = bind_policy(tmp_path, text, table("lake.db.t", {"i": "BIGINT"}))
    assert "changes its type from INTEGER to BIGINT" in _reasons(_compare(old, new))


def test_a_mask_of_another_kind_is_the_same_only_as_itself(tmp_path: Path) -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class LastFour(Mask):
        keep: int

    def masked(keep: int, name: str) -> Any:
        mask = LastFour(name=name, rank=5, type=_TEXT, form=_NOTHING, keep=keep)
        return lambda part: replace(part, masks={"s": mask})

    base = _policy(tmp_path)
    four, five, renamed = (_with_filter(base, masked(keep, name)) for keep, name in ((4, "a"), (5, "a"), (4, "b")))
    assert _compare(four, renamed).subjects == ()
    (subject,) = _compare(four, five).subjects
    assert isinstance(subject.verdict, Widening)
    (subject,) = _compare(base, four).subjects
    assert not isinstance(subject.verdict, Same | Undecided | Widening)


def test_a_budget_that_is_used_up_is_undecided(tmp_path: Path) -> None:
    clauses = " AND ".join(f"(i = {n} OR s = '{n}' OR i > {n + 50})" for n in range(20))
    old, new = _policy(tmp_path, clauses), _policy(tmp_path, f"NOT (NOT ({clauses}))")
    small = Budget(work=30, pattern_states=400, text_states=400)
    reasons = _reasons(compare(old, new, at=NOW, budget=small))
    assert "too many steps" in reasons


def test_a_verdict_is_no_truth_value() -> None:
    with pytest.raises(TypeError, match="match its type"):
        bool(Undecided(reasons=("?",)))
    with pytest.raises(TypeError, match="match its type"):
        assert Same()
