"""Findings as JUnit XML: one test case, which fails with every problem."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from penstock_server.cli.terminal import Terminal
from penstock_server.cli.validation_formats.findings import Findings, in_one_line
from penstock_server.model.printable import printable


def write(found: Findings, terminal: Terminal) -> None:
    """Print the findings as one XML document, in ASCII."""
    for line in as_junit(found):
        terminal.raw(line.encode("ascii", "xmlcharrefreplace").decode("ascii"))


def as_junit(found: Findings) -> list[str]:
    """Give the lines of the document."""
    counts = f'tests="1" failures="{int(bool(found.problems))}"'
    lines = [
        '<?xml version="1.0" encoding="US-ASCII"?>',
        f"<testsuites {counts}>",
        f'  <testsuite name="penstock-server policy validate" {counts}>',
        f'    <testcase classname="policy" name={quoteattr(printable(" ".join(found.paths)))}>',
    ]
    if found.problems:
        lines.append(f"      <failure message={quoteattr(printable(in_one_line(found.problems[0])))}>")
        lines += [escape(printable(in_one_line(problem))) for problem in found.problems]
        lines.append("      </failure>")
    if found.warnings:
        lines += ["      <system-out>", *(escape(printable(in_one_line(one))) for one in found.warnings)]
        lines.append("      </system-out>")
    return [*lines, "    </testcase>", "  </testsuite>", "</testsuites>"]
