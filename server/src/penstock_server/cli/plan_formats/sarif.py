"""A plan as SARIF, for code scanning: what is wider or undecided is an error, a notice a warning, a loss a note.

Source: OASIS, Static Analysis Results Interchange Format 2.1.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from penstock_server.cli.sarif_log import sarif_log, write_log
from penstock_server.cli.terminal import Terminal
from penstock_server.policy.proof.report import Report, SubjectEntry

_RULES: Final = {
    "widening": "Somebody would see more",
    "undecided": "Whether somebody would see more is not known",
    "narrowing": "Somebody would see less, or otherwise",
    "inference": "A column that is not shown tells something of itself",
}


def write(report: Report, terminal: Terminal) -> None:
    """Print the plan as one SARIF log."""
    write_log(as_sarif(report), terminal)


def as_sarif(report: Report) -> dict[str, Any]:
    """Give the plan as a SARIF log."""
    results = (result for subject in report.subjects for result in _results(subject, report.new))
    return sarif_log("penstock-server policy plan", _RULES, results)


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
