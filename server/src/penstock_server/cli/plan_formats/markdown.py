"""A plan as Markdown, for a pull request."""

from __future__ import annotations

import re
from typing import Final

from penstock_server.cli.terminal import Terminal
from penstock_server.model.printable import printable
from penstock_server.policy.proof.report import ClassEntry, Report, SubjectEntry

_MARKS: Final = {"SAME": "⚪", "NARROWING": "🔵", "WIDENING": "🔴", "UNDECIDED": "🟡"}
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]()<>#+!|~])")


def write(report: Report, terminal: Terminal) -> None:
    """Print the plan."""
    for line in as_markdown(report):
        terminal.say(line)


def as_markdown(report: Report) -> list[str]:
    """Give the lines of the document."""
    lines = [
        f"## Policy plan: {_MARKS[report.verdict]} {report.verdict}",
        "",
        f"From {_escaped(report.old)} to {_escaped(report.new)}, for all data and all principals: "
        f"{len(report.subjects)} changed, {report.plan.unchanged} the same.",
    ]
    for subject in report.subjects:
        lines += ["", *_subject(subject)]
    return lines


def _subject(subject: SubjectEntry) -> list[str]:
    lines = [f"### {_MARKS[subject.verdict]} {subject.verdict}: {subject.kind} {_escaped(subject.name)}", ""]
    for entry in subject.classes:
        lines += _class(entry)
    if subject.notices:
        lines += ["", "Inference:", ""]
        lines += [f"- ⚠️ {_escaped(notice.text)}" for notice in subject.notices]
    return lines


def _class(entry: ClassEntry) -> list[str]:
    lines = [f"- {_MARKS[entry.verdict]} {entry.verdict} for {_escaped(entry.name)}"]
    lines += [f"  - **more**: {_escaped(sentence.text)}" for sentence in entry.gains]
    lines += [f"  - less or otherwise: {_escaped(sentence.text)}" for sentence in entry.losses]
    lines += [f"  - undecided: {_escaped(reason)}" for reason in entry.reasons]
    return lines


def _escaped(text: str) -> str:
    """Give a text that no name of a policy can turn into markup, a link or a mention."""
    return _SPECIAL.sub(r"\\\1", printable(text)).replace("@", "@<!-- -->")
