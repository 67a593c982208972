"""The proof's word on rows against a solver that shares nothing with it: cvc5, in an environment of its own.

That environment comes from the package index, so this is slow.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from penstock_server.policy.proof.comparison import compare_table
from penstock_server.policy.proof.findings import Undecided, Widening
from penstock_server.policy.proof.plan import table_pair
from support import weak_proofs
from support.policies import NOW, name_of
from support.policy_pairs import TABLE, Policy
from support.proof_checks import EXACT, bound
from support.smt_questions import question, row_pairs

Pair = tuple[Policy, Policy]

_ROOT = Path(__file__).parents[3]
_COUNT = 2_400
_FEW = 300
"""Pairs that are enough to find what is wrong on purpose."""
_WORDS = {"sat": True, "unsat": False, "unknown": None}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_proof_and_cvc5_agree_on_whether_a_row_is_newly_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = list(row_pairs("cvc5", _COUNT))
    started = time.monotonic()
    proved = [_proved(pair, tmp_path) for pair in pairs]
    asked = time.monotonic()
    solved = _solved([question(*pair) for pair in pairs], tmp_path)
    sys.stdout.write(
        f"{_COUNT} pairs: proof {Counter(proved)} in {asked - started:.0f} s, "
        f"cvc5 {Counter(solved)} in {time.monotonic() - asked:.0f} s\n"
    )
    assert not _disagreements(pairs, proved, solved)
    assert proved.count(None) + solved.count(None) <= _COUNT // 1000
    assert min(proved.count(True), proved.count(False)) > _COUNT // 4

    # The comparison itself must see a wrong question and a weak proof.
    few = pairs[:_FEW]
    wrong = _solved([question(*pair, null_is_a_value=True) for pair in few], tmp_path)
    assert _disagreements(few, proved, wrong)
    weak_proofs.null_is_a_value(monkeypatch)
    weak = [_proved(pair, tmp_path) for pair in few]
    assert _disagreements(few, weak, solved)


def _disagreements(pairs: Sequence[Pair], proved: Sequence[bool | None], solved: Sequence[bool | None]) -> list[str]:
    """Name the pairs on which both have an answer, and not the same one."""
    return [
        f"{number}: proof {mine}, cvc5 {other}: {[[grant.filter.rows for grant in side.grants] for side in pair]}"
        for number, (pair, mine, other) in enumerate(zip(pairs, proved, solved, strict=False))
        if mine is not None and other is not None and mine is not other
    ]


def _proved(pair: Pair, folder: Path) -> bool | None:
    """Tell whether the proof finds a widening; None = it does not know."""
    old, new = (bound(policy, folder) for policy in pair)
    verdict = compare_table(table_pair(old, new, name_of(TABLE).key()), since=NOW, budget=EXACT, only=None)
    return None if isinstance(verdict, Undecided) else isinstance(verdict, Widening)


def _solved(questions: Sequence[str], folder: Path) -> list[bool | None]:
    """Tell whether cvc5 finds a row for each question; None = it does not know."""
    script = _ROOT / "tests/support/cvc5_answers.py"
    environment = ["--no-project", "--python", sys.executable, "--with=cvc5==1.4.2"]
    command = [str(_ROOT / ".tools/bin/uv"), "run", *environment, str(script)]
    asked = json.dumps(questions)
    done = subprocess.run(command, input=asked, check=True, stdout=subprocess.PIPE, text=True, cwd=folder, timeout=900)
    answers = json.loads(done.stdout)
    assert len(answers) == len(questions)
    return [_WORDS[answer] for answer in answers]
