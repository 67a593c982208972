"""A plan for a program. The keys are a public contract: new ones may come, none goes."""

from __future__ import annotations

import json
from typing import Any

from penstock_server.cli.terminal import Terminal
from penstock_server.policy.proof.callers import Somebody
from penstock_server.policy.proof.report import ClassEntry, Notice, Report, Sentence


def write(report: Report, terminal: Terminal) -> None:
    """Print the plan as one JSON object."""
    for line in json.dumps(as_json(report), indent=2).splitlines():
        terminal.raw(line)


def as_json(report: Report) -> dict[str, Any]:
    """Give the plan as JSON values."""
    return {
        "verdict": report.verdict,
        "old": {"path": report.old, "version": report.plan.old},
        "new": {"path": report.new, "version": report.plan.new},
        "since": report.plan.since.isoformat(),
        "unchanged": report.plan.unchanged,
        "subjects": [
            {
                "kind": subject.kind,
                "name": subject.name,
                "verdict": subject.verdict,
                "classes": [_class(entry) for entry in subject.classes],
                "notices": [_notice(notice) for notice in subject.notices],
            }
            for subject in report.subjects
        ],
    }


def _class(entry: ClassEntry) -> dict[str, Any]:
    return {
        "principals": entry.name,
        "verdict": entry.verdict,
        "gains": [_sentence(sentence) for sentence in entry.gains],
        "losses": [_sentence(sentence) for sentence in entry.losses],
        "reasons": list(entry.reasons),
    }


def _sentence(sentence: Sentence) -> dict[str, Any]:
    finding = sentence.finding
    return {
        "sentence": sentence.text,
        "kind": finding.kind.value,
        "things": list(finding.things),
        "before": finding.before,
        "after": finding.after,
        "principal": _somebody(finding.example.who),
        "at": finding.example.at.isoformat(),
        "circumstances": {name: list(values) for name, values in finding.example.given},
        "row": dict(finding.example.row),
    }


def _notice(notice: Notice) -> dict[str, Any]:
    return {
        "sentence": notice.text,
        "kind": "inference",
        "column": notice.notice.column,
        "betrayed_by": notice.notice.betrayed_by,
        "principal": _somebody(notice.notice.who),
        "shown": dict(notice.notice.shown),
        "hidden": dict(notice.notice.hidden),
    }


def _somebody(who: Somebody) -> dict[str, Any]:
    return {
        "issuer": who.issuer,
        "username": who.username,
        "subject": who.subject,
        "groups": [group.name for group in who.groups],
        "attributes": {name: list(values) for name, values in who.attributes},
    }
