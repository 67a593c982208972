"""A plan as JUnit XML: a test case for each class of principals, which fails where it would see more."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from penstock_server.cli.terminal import Terminal
from penstock_server.model.printable import printable
from penstock_server.policy.proof.report import ClassEntry, Report, SubjectEntry


def write(report: Report, terminal: Terminal) -> None:
    """Print the plan as one XML document, in ASCII."""
    for line in as_junit(report):
        terminal.raw(line.encode("ascii", "xmlcharrefreplace").decode("ascii"))


def as_junit(report: Report) -> list[str]:
    """Give the lines of the document."""
    cases = [(subject, entry) for subject in report.subjects for entry in subject.classes]
    failures = sum(_fails(entry) for _, entry in cases)
    lines = [
        '<?xml version="1.0" encoding="US-ASCII"?>',
        f'<testsuites tests="{len(cases)}" failures="{failures}">',
        f'  <testsuite name="penstock-server policy plan" tests="{len(cases)}" failures="{failures}">',
    ]
    for subject, entry in cases:
        lines += _case(subject, entry)
    notices = [f"{subject.name}: {notice.text}" for subject in report.subjects for notice in subject.notices]
    if notices:
        lines += ["    <system-out>", *(_text(f"inference: {notice}") for notice in notices), "    </system-out>"]
    return [*lines, "  </testsuite>", "</testsuites>"]


def _case(subject: SubjectEntry, entry: ClassEntry) -> list[str]:
    name = f"{subject.kind} {subject.name}"
    lines = [f"    <testcase classname={_attribute(name)} name={_attribute(entry.name)}>"]
    if _fails(entry):
        lines.append(f"      <failure type={_attribute(entry.verdict)} message={_attribute(_message(entry))}>")
        lines += [_text(sentence.text) for sentence in entry.gains]
        lines += [_text(reason) for reason in entry.reasons]
        lines.append("      </failure>")
    if entry.losses:
        lines += ["      <system-out>", *(_text(sentence.text) for sentence in entry.losses), "      </system-out>"]
    return [*lines, "    </testcase>"]


def _fails(entry: ClassEntry) -> bool:
    return entry.verdict in {"WIDENING", "UNDECIDED"}


def _message(entry: ClassEntry) -> str:
    return next((*(sentence.text for sentence in entry.gains), *entry.reasons).__iter__(), entry.verdict)


def _attribute(text: str) -> str:
    return quoteattr(printable(text))


def _text(text: str) -> str:
    # Control characters have no form in XML at all.
    return escape(printable(text))
