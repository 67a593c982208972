"""Plans as text for machines and people: no name of a policy can break out of any of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest
from penstock_server.cli.plan_formats import json_format, junit, markdown, sarif, text
from penstock_server.cli.terminal import Terminal
from penstock_server.model.decision import PolicyVersion
from penstock_server.model.principal import Group
from penstock_server.policy.proof.callers import Somebody
from penstock_server.policy.proof.findings import (
    ClassPlan,
    Example,
    Finding,
    FindingKind,
    Plan,
    SubjectKind,
    SubjectPlan,
    Undecided,
    Widening,
)
from penstock_server.policy.proof.report import Report, report_of

_AT = datetime(2026, 6, 1, tzinfo=UTC)
_HOSTILE = "\x1b[2J<b>|`@team`</b> ]]> & ü\u202e"


def _report(*, undecided: bool = False) -> Report:
    who = Somebody(
        issuer="https://login.test",
        username=None,
        subject=None,
        groups=(Group(issuer="https://login.test", name=_HOSTILE),),
        attributes=(),
    )
    finding = Finding(
        kind=FindingKind.ROW,
        things=(),
        before="nothing",
        after="the row",
        example=Example(who=who, at=_AT, given=(), row=((_HOSTILE, f"'{_HOSTILE}'"),)),
    )
    verdict = (
        Undecided(reasons=(_HOSTILE,))
        if undecided
        else Widening(gains=(finding,), losses=(), open_questions=(_HOSTILE,))
    )
    subject = SubjectPlan(
        kind=SubjectKind.TABLE,
        name=_HOSTILE,
        verdict=verdict,
        classes=(ClassPlan(members=(who,), verdict=verdict),),
        notices=(),
    )
    plan = Plan(
        old=PolicyVersion("1"),
        new=PolicyVersion("2"),
        since=_AT,
        default_issuer="https://login.test",
        subjects=(subject,),
        unchanged=3,
    )
    return report_of(plan, old=_HOSTILE, new=_HOSTILE)


@pytest.mark.parametrize("write", [text.write, json_format.write, sarif.write, junit.write, markdown.write])
def test_nothing_that_a_terminal_would_obey_is_printed(
    write: Callable[[Report, Terminal], None], capsys: pytest.CaptureFixture[str]
) -> None:
    write(_report(), Terminal())
    out = capsys.readouterr().out
    assert not {"\x1b", "\u202e"} & set(out)
    assert len(out.splitlines()) > 2


def test_junit_stays_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    junit.write(_report(), Terminal())
    document = ET.fromstring(capsys.readouterr().out)
    assert [case.get("name", "")[:19] for case in document.iter("testcase")] == [
        "all principals",
        "somebody in group:\\",
    ]


def test_json_and_sarif_keep_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    json_format.write(_report(), Terminal())
    assert json.loads(capsys.readouterr().out)["subjects"][0]["name"] == _HOSTILE
    sarif.write(_report(), Terminal())
    log = json.loads(capsys.readouterr().out)
    assert _HOSTILE in log["runs"][0]["results"][0]["message"]["text"]


def test_markdown_escapes_markup_links_and_mentions(capsys: pytest.CaptureFixture[str]) -> None:
    markdown.write(_report(), Terminal())
    out = capsys.readouterr().out
    assert "<b>" not in out
    assert "@team" not in out
    assert "\\|" in out


@pytest.mark.parametrize("undecided", [True, False])
def test_wider_and_undecided_are_both_told_as_wider(*, undecided: bool) -> None:
    report = _report(undecided=undecided)
    assert report.is_wider
    assert report.verdict == ("UNDECIDED" if undecided else "WIDENING")
