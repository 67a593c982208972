"""A plan as SARIF, for code scanning: what is wider or undecided is an error, a notice a warning, a loss a note.

Source: OASIS, Static Analysis Results Interchange Format 2.1.0.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from penstock_server.cli.terminal import Terminal
from penstock_server.policy.proof.report import Report, SubjectEntry

_RULES: Final = {
    "widening": "Somebody would see more",
    "undecided": "Whether somebody would see more is not known",
    "narrowing": "Somebody would see less, or otherwise",
    "inference": "A column that is not shown tells something of itself",
}
_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def write(report: Report, terminal: Terminal) -> None:
    """Print the plan as one SARIF log."""
    for line in json.dumps(as_sarif(report), indent=2).splitlines():
        terminal.raw(line)


def as_sarif(report: Report) -> dict[str, Any]:
    """Give the plan as a SARIF log."""
    rules = [{"id": name, "shortDescription": {"text": text}} for name, text in _RULES.items()]
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "penstock-server policy plan", "rules": rules}},
                "results": [result for subject in report.subjects for result in _results(subject, report.new)],
            }
        ],
    }


def _results(subject: SubjectEntry, path: str) -> Iterator[dict[str, Any]]:
    for entry in subject.classes:
        for sentence in entry.gains:
            yield _result("widening", "error", f"{subject.name}: {sentence.text}", subject, path)
        for reason in entry.reasons:
            yield _result("undecided", "error", f"{subject.name}, {entry.name}: {reason}", subject, path)
        for sentence in entry.losses:
            yield _result("narrowing", "note", f"{subject.name}: {sentence.text}", subject, path)
    for notice in subject.notices:
        yield _result("inference", "warning", f"{subject.name}: {notice.text}", subject, path)


def _result(rule: str, level: str, text: str, subject: SubjectEntry, path: str) -> dict[str, Any]:
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": text},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": path}, "region": {"startLine": 1}},
                "logicalLocations": [{"fullyQualifiedName": subject.name, "kind": subject.kind}],
            }
        ],
    }
