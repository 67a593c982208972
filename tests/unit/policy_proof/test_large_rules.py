"""Rules datasets with more selectors than are spelled out at once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from penstock_server.policy.proof.budget import DEFAULT_BUDGET
from penstock_server.policy.proof.findings import Narrowing, Same, Undecided, Verdict, Widening
from penstock_server.policy.proof.plan import compare
from penstock_server.policy.proof.wording import Wording
from support.policies import ISSUER, NOW, bind_policy, table

_TABLE = table("lake.db.t", {"region": "VARCHAR", "team": "VARCHAR", "i": "INTEGER"})
_REGIONS = [f"r{number}" for number in range(40)]


def _csv(rules: Iterable[tuple[str, str, str, str]]) -> str:
    return "\n".join(["UserName,GroupName,region,team", *(",".join(rule) for rule in rules)])


def _rules(users: int = 600, groups: int = 100) -> list[tuple[str, str, str, str]]:
    by_user = [(f"u{n}", "", _REGIONS[n % 40], f"t{n % 7}") for n in range(users)]
    return [*by_user, *(("", f"g{n}", _REGIONS[n % 40], "") for n in range(groups))]


def _verdict(
    folder: Path, old: list[tuple[str, str, str, str]], new: list[tuple[str, str, str, str]], rows: str = "i = 1"
) -> tuple[Verdict, list[str]]:
    policies = []
    for rules, condition in ((old, "i = 1"), (new, rows)):
        text = f"""
version: 1
grants:
  - {{name: g, principals: [everyone], resource: lake.db.t, permissions: [SELECT], rows: "{condition}"}}
row_rules: [{{resource: lake.db.t, name: r, rules: {{file: rules.csv}}}}]
"""
        policies.append(bind_policy(folder, text, _TABLE, rules=_csv(rules)))
    plan = compare(*policies, at=NOW, budget=DEFAULT_BUDGET)
    if not plan.subjects:
        return Same(), []
    (subject,) = plan.subjects
    wording = Wording(default_issuer=ISSUER, since=NOW)
    match subject.verdict:
        case Widening(gains=gains):
            return subject.verdict, [wording.gain(gain, subject) for gain in gains]
        case Narrowing(losses=losses):
            return subject.verdict, [wording.loss(loss, subject) for loss in losses]
        case _:
            return subject.verdict, []


def test_the_order_of_rules_does_not_matter(tmp_path: Path) -> None:
    assert _verdict(tmp_path, _rules(), _rules()[::-1]) == (Same(), [])


def test_one_rule_more_among_hundreds_is_found(tmp_path: Path) -> None:
    verdict, sentences = _verdict(tmp_path, _rules(), [*_rules(), ("u17", "", "r3", "t0")])
    assert isinstance(verdict, Widening)
    assert sentences == ["u17 would newly see a row with region='r3', team='t0', i=1"]


def test_one_rule_less_among_hundreds_is_found(tmp_path: Path) -> None:
    verdict, sentences = _verdict(tmp_path, _rules(), [rule for rule in _rules() if rule[0] != "u17"])
    assert isinstance(verdict, Narrowing)
    assert sentences == ["u17 would no longer see a row with region='r17', team='t3', i=1"]


def test_hundreds_of_changed_users_are_compared_slice_by_slice(tmp_path: Path) -> None:
    def moved(rule: tuple[str, str, str, str]) -> tuple[str, str, str, str]:
        return (
            rule if not rule[0] else (rule[0], rule[1], f"{rule[2]}", f"{rule[3]}x" if rule[0] == "u599" else rule[3])
        )

    narrowed = [rule for rule in _rules() if not (rule[0] and int(rule[0][1:]) < 300)]
    verdict, _ = _verdict(tmp_path, _rules(), narrowed)
    assert isinstance(verdict, Narrowing)
    verdict, sentences = _verdict(tmp_path, _rules(), [moved(rule) for rule in narrowed])
    assert isinstance(verdict, Widening)
    assert sentences == ["u599 would newly see a row with region='r39', team='t4x', i=1"]


def test_a_rule_that_another_one_covers_is_the_same(tmp_path: Path) -> None:
    everything = [*_rules(), ("u5", "", "", "")]
    assert _verdict(tmp_path, everything, [*everything, ("u5", "", "r1", "t1")]) == (Same(), [])


def test_a_wider_grant_is_wider_for_somebody_whom_the_unchanged_rules_name(tmp_path: Path) -> None:
    verdict, sentences = _verdict(tmp_path, _rules(), _rules(), rows="i IN (1, 2)")
    assert isinstance(verdict, Widening)
    assert len(sentences) == 1
    assert "would newly see a row with region='r" in sentences[0]
    assert sentences[0].endswith("i=2")


def test_a_grant_that_is_wider_in_rows_that_no_rule_leaves_is_the_same(tmp_path: Path) -> None:
    # All rules name a region of the list; that the grant also shows rows of other regions changes nothing.
    rules = _rules(users=300, groups=10)
    verdict, _ = _verdict(tmp_path, rules, rules, rows="i = 1 OR region = 'nowhere'")
    assert not isinstance(verdict, Widening | Narrowing | Undecided)
