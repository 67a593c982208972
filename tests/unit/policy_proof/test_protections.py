"""Each protection of the proof, taken out: the checks that hold the proof against oracles must turn red."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import weak_proofs
from support.policy_pairs import Filter, Grant, Policy
from support.proof_checks import EXACT, LAZY, check_pair
from support.reference_model import Expression
from support.text_tests import directed_pairs, wrong_answer
from support.weak_proofs import Weakening


@pytest.mark.parametrize(
    "weaken", [weak_proofs.null_is_a_value, weak_proofs.no_gaps_between_texts, weak_proofs.no_fresh_letter]
)
def test_directed_texts_find_the_weak_proof(weaken: Weakening, monkeypatch: pytest.MonkeyPatch) -> None:
    weaken(monkeypatch)
    pairs = directed_pairs("directed", 3_000)
    assert any(wrong.count("proved, but") for old, new in pairs if (wrong := wrong_answer(old, new, EXACT)))


def test_directed_texts_find_texts_ruled_out_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    weak_proofs.ruling_out_everywhere(monkeypatch)
    pairs = directed_pairs("directed", 3_000)
    assert any("proved, but" in wrong_answer(old, new, LAZY) for old, new in pairs)


def test_a_forgotten_gap_between_numbers_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old, new = _rows(("cmp", "i", "<", 2)), _rows(("or", [("cmp", "i", "<", 2), ("between", "i", 3, 4)]))
    wider = _rows(("or", [("cmp", "i", "<", 2), ("cmp", "i", "=", 3)]))
    assert not check_pair(old, new, tmp_path, budget=EXACT).unsound
    assert not check_pair(old, wider, tmp_path, budget=EXACT).unsound
    gap = _rows(("and", [("cmp", "i", ">", 2), ("cmp", "i", "<", 4)]))
    assert not check_pair(old, gap, tmp_path, budget=EXACT).unsound
    weak_proofs.no_gaps_between_numbers(monkeypatch)
    assert check_pair(old, gap, tmp_path, budget=EXACT).unsound


def test_a_witness_that_nobody_confirmed_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # No attribute is the whole number in `i` and the text `a` at once; the formulas do not know that.
    impossible = [("my attribute", "i", "=", "dept"), ("my attribute", "s", "=", "dept"), ("cmp", "s", "=", "a")]
    old, new = _rows(("null", "i")), _rows(("or", [("null", "i"), ("and", impossible)]))
    checked = check_pair(old, new, tmp_path, budget=EXACT)
    assert type(checked.verdict).__name__ == "Undecided"
    assert not checked.unconfirmed
    weak_proofs.witnesses_are_believed(monkeypatch)
    assert check_pair(old, new, tmp_path, budget=EXACT).unconfirmed


def _rows(rows: Expression) -> Policy:
    part = Filter(columns=("include", frozenset({"i", "s"})), rows=rows, masks={})
    grant = Grant(principals=("everyone",), permissions=("SELECT",), filter=part, ends=False)
    return Policy(columns=("i", "s", "b"), grants=(grant,), ranks={}, rules=None, closed={})


@pytest.fixture(autouse=True)
def _strong_again() -> Iterator[None]:
    yield
    assert wrong_answer("s < 'a'", "s < 'c'", EXACT) == ""
