"""Masks that compute, in proofs: equal definitions are the same, and beyond that the order of ranks in force counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from penstock_server.policy.proof.budget import DEFAULT_BUDGET
from penstock_server.policy.proof.findings import Narrowing, Plan, Widening
from penstock_server.policy.proof.plan import compare
from support.policies import NOW, bind_policy, table

_TABLE = table("lake.db.t", {"id": "INTEGER", "s": "VARCHAR", "n": "DOUBLE", "d": "DATE"})
_HASH = 'builtin: hash, key: "env:PENSTOCK_TEST_MASK_KEY"'
_LAST = "builtin: partial, keep_last: 4"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_TEST_MASK_KEY", "a key of at least so many characters")


def _policy(column: str, *masks: str) -> str:
    """The first mask is on the column for bob; the others are on it for carol, so that their ranks are known."""
    declared = "".join(f"  m{number}: {{{mask}}}\n" for number, mask in enumerate(masks))
    grants = "".join(
        f"  - {{name: g{number}, principals: ['user:{'carol' if number else 'bob'}'], resource: lake.db.t, "
        f"permissions: [SELECT], masks: {{{column}: m{number}}}}}\n"
        for number, _ in enumerate(masks)
    )
    return f"version: 1\nmasks:\n{declared}grants:\n{grants}"


def _compare(old: str, new: str, folder: Path) -> Plan:
    before, after = (bind_policy(folder, text, _TABLE) for text in (old, new))
    return compare(before, after, at=NOW, budget=DEFAULT_BUDGET)


@pytest.mark.parametrize(
    "mask",
    [
        _HASH,
        _LAST,
        "builtin: show-last-4",
        "builtin: sha-256-query-local",
        "expression: \"'***' || right(value, 4)\", type: varchar",
        "expression: \"CASE WHEN value IN ('b', 'a') THEN 'x' ELSE value END\", type: varchar",
    ],
)
def test_a_mask_that_is_only_renamed_and_ranked_anew_is_the_same(mask: str, tmp_path: Path) -> None:
    old = _policy("s", f"rank: 1, {mask}")
    assert _compare(old, old.replace("m0", "other").replace("rank: 1", "rank: 7"), tmp_path).subjects == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(_LAST, "builtin: partial, keep_last: 5", id="more characters"),
        pytest.param(_LAST, f'{_LAST}, with: "#"', id="another filler, which the old version does not know"),
        pytest.param("builtin: partial, keep_last: 4", "builtin: show-last-4", id="short values as they are"),
        pytest.param("builtin: sha-256-query-local", "builtin: sha-256-global", id="beyond one statement"),
        pytest.param(_HASH, "builtin: sha-256-global", id="without a key"),
        pytest.param("builtin: redact", _HASH, id="a hash in place of a constant"),
        pytest.param("builtin: year", "builtin: month", id="the month too"),
        pytest.param("builtin: round, to: 1000", "builtin: round, to: 100", id="smaller steps"),
        pytest.param(
            'expression: "left(value, 1)", type: varchar', 'expression: "left(value, 2)", type: varchar', id="one more"
        ),
    ],
)
def test_a_mask_that_the_old_version_does_not_know_tells_more(old: str, new: str, tmp_path: Path) -> None:
    column = "d" if "year" in old else "n" if "round" in old else "s"
    plan = _compare(_policy(column, f"rank: 1, {old}"), _policy(column, f"rank: 1, {new}"), tmp_path)
    assert [type(subject.verdict) for subject in plan.subjects] == [Widening]


def test_the_order_of_ranks_in_force_decides_between_two_that_it_knows(tmp_path: Path) -> None:
    few, many = f"rank: 5, {_LAST}", f"rank: 9, {_HASH}"
    to_hash = _compare(_policy("s", few, many), _policy("s", many, many.replace("9", "8")), tmp_path)
    assert [type(subject.verdict) for subject in to_hash.subjects] == [Narrowing]
    to_tail = _compare(_policy("s", many, few), _policy("s", few, few.replace("5", "4")), tmp_path)
    assert [type(subject.verdict) for subject in to_tail.subjects] == [Widening]


@pytest.mark.parametrize("mask", [_HASH, _LAST, "builtin: mask-alphanum", "builtin: sha-256-global"])
def test_every_mask_tells_less_than_the_value_and_more_than_a_constant(mask: str, tmp_path: Path) -> None:
    clear = "version: 1\ngrants: [{name: g0, principals: ['user:bob'], resource: lake.db.t, permissions: [SELECT]}]\n"
    masked, constant = _policy("s", f"rank: 1, {mask}"), _policy("s", "rank: 1, builtin: mask-to-fixed-value")
    for old, new, verdict in ((clear, masked, Narrowing), (masked, clear, Widening), (masked, constant, Narrowing)):
        assert [type(subject.verdict) for subject in _compare(old, new, tmp_path).subjects] == [verdict]


def test_another_key_is_another_mask_and_the_same_key_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = _policy("s", f"rank: 1, {_HASH}")
    first = bind_policy(tmp_path, text, _TABLE)
    assert compare(first, bind_policy(tmp_path, text, _TABLE), at=NOW, budget=DEFAULT_BUDGET).subjects == ()
    monkeypatch.setenv("PENSTOCK_TEST_MASK_KEY", "another key of at least so many characters")
    plan = compare(first, bind_policy(tmp_path, text, _TABLE), at=NOW, budget=DEFAULT_BUDGET)
    assert len(plan.subjects) == 1
    assert "so many characters" not in repr(plan)


def test_null_and_replace_with_null_are_one_mask_and_so_are_the_truncations(tmp_path: Path) -> None:
    for column, one, other in (
        ("s", 'builtin: "null"', "builtin: replace-with-null"),
        ("d", "builtin: year", "builtin: truncate-to-year"),
        ("d", "builtin: month", "builtin: truncate-to-month"),
    ):
        plan = _compare(_policy(column, f"rank: 1, {one}"), _policy(column, f"rank: 1, {other}"), tmp_path)
        assert plan.subjects == ()
