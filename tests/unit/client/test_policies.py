"""Policies as they are sent, and answers about them as they are understood."""

from __future__ import annotations

from pathlib import Path

import penstock
import pytest
from penstock import unpacking_policies
from penstock.policies import PolicyProblem, read
from penstock.v1 import policy_service_pb2 as messages


def test_a_folder_is_sent_with_its_policies_and_rules_and_nothing_else(tmp_path: Path) -> None:
    for name in ("nyc.yaml", "more/hr.yml", "rules/a.csv", "README.md", ".git/config.yaml", ".hidden.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(name)
    sent = read(tmp_path)
    assert sent == {"nyc.yaml": b"nyc.yaml", "more/hr.yml": b"more/hr.yml", "rules/a.csv": b"rules/a.csv"}
    assert read(str(tmp_path)) == sent
    assert read(tmp_path / "more" / "hr.yml") == {"hr.yml": b"more/hr.yml"}


def test_texts_are_sent_as_utf_8() -> None:
    assert read({"a.yaml": "\u00fc", "b.csv": b"\xff"}) == {"a.yaml": b"\xc3\xbc", "b.csv": b"\xff"}


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_where_there_is_no_policy_nothing_is_sent(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(penstock.InvalidRequest) as raised:
        read(tmp_path / name)
    assert raised.value.fields[0].field == "files"


@pytest.mark.parametrize("verdict", [messages.POLICY_VERDICT_UNSPECIFIED, 99])
def test_a_verdict_that_is_not_known_is_an_error_and_never_safe(verdict: messages.PolicyVerdict.ValueType) -> None:
    with pytest.raises(penstock.PenstockError):
        unpacking_policies.plan(messages.PlanPolicyResponse(verdict=verdict))


@pytest.mark.parametrize(
    ("verdict", "safe"),
    [
        (messages.POLICY_VERDICT_SAME, True),
        (messages.POLICY_VERDICT_NARROWING, True),
        (messages.POLICY_VERDICT_WIDENING, False),
        (messages.POLICY_VERDICT_UNDECIDED, False),
    ],
)
def test_a_plan_is_safe_where_nobody_would_see_more(verdict: messages.PolicyVerdict.ValueType, safe: bool) -> None:
    assert unpacking_policies.plan(messages.PlanPolicyResponse(verdict=verdict)).safe is safe


def test_a_policy_without_a_version_is_not_valid() -> None:
    assert not unpacking_policies.validation(messages.ValidatePolicyResponse()).valid
    assert unpacking_policies.validation(messages.ValidatePolicyResponse(policy_version="v")).valid


def test_a_problem_reads_as_it_does_on_the_server() -> None:
    assert str(PolicyProblem(path="a.yaml", line=3, description="wrong")) == "a.yaml:3: wrong"
    assert str(PolicyProblem(path="catalog lake", line=0, description="wrong")) == "catalog lake: wrong"
    assert str(PolicyProblem(path="", line=0, description="wrong")) == "wrong"
