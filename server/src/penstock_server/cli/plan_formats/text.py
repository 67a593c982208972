"""A plan for a person at a terminal."""

from __future__ import annotations

from typing import Final

from penstock_server.cli.plan_formats.entries import ClassEntry, Report
from penstock_server.cli.terminal import Terminal

_STYLES: Final = {"SAME": "green", "NARROWING": "cyan", "WIDENING": "red", "UNDECIDED": "yellow"}


def write(report: Report, terminal: Terminal) -> None:
    """Print the plan."""
    for subject in report.subjects:
        terminal.say_parts(
            [(f"{subject.verdict:<11}", _STYLES[subject.verdict]), (f"{subject.kind} {subject.name}", "bold")]
        )
        for entry in subject.classes:
            _write_class(entry, terminal)
        for notice in subject.notices:
            terminal.say_parts([("    inference  ", "yellow"), (notice.text, "")])
    terminal.say_parts([(f"{report.verdict:<11}", _STYLES[report.verdict]), (_summary(report), "")])


def _write_class(entry: ClassEntry, terminal: Terminal) -> None:
    terminal.say_parts([("  ", ""), (f"{entry.verdict:<11}", _STYLES[entry.verdict]), (entry.name, "")])
    for sentence in entry.gains:
        terminal.say_parts([("    + ", "red"), (sentence.text, "")])
    for sentence in entry.losses:
        terminal.say_parts([("    - ", "cyan"), (sentence.text, "")])
    for reason in entry.reasons:
        terminal.say_parts([("    ? ", "yellow"), (reason, "")])


def _summary(report: Report) -> str:
    changed = len(report.subjects)
    return f"from {report.old} to {report.new}: {changed} changed, {report.plan.unchanged} the same"
