"""Results of cases for a person, and as JUnit XML."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from penstock_server.cli.policy_cases.cases import CaseResult, Mismatch
from penstock_server.cli.terminal import Terminal
from penstock_server.model.printable import printable


def write_text(results: Sequence[CaseResult], terminal: Terminal) -> None:
    """Print every case, and of those that failed what differs."""
    for result in results:
        if result.passed:
            terminal.say_parts([("ok    ", "green"), (result.case.name, "")])
            continue
        terminal.say_parts([("FAIL  ", "red"), (f"{result.case.place}: {result.case.name}", "bold")])
        for mismatch in result.mismatches:
            for sign, style, line in _lines(mismatch):
                terminal.say_parts([(f"      {sign} ", style), (line, "")])
    failed = sum(not result.passed for result in results)
    summary = f"{len(results)} cases, {failed} failed" if failed else f"{len(results)} cases, all as expected"
    terminal.say_parts([(summary, "red" if failed else "green")])


def write_junit(results: Sequence[CaseResult], terminal: Terminal) -> None:
    """Print the results as one XML document, in ASCII."""
    for line in as_junit(results):
        terminal.raw(line.encode("ascii", "xmlcharrefreplace").decode("ascii"))


def as_junit(results: Sequence[CaseResult]) -> list[str]:
    """Give the lines of the document: a test case for each case."""
    counts = f'tests="{len(results)}" failures="{sum(not result.passed for result in results)}"'
    lines = [
        '<?xml version="1.0" encoding="US-ASCII"?>',
        f"<testsuites {counts}>",
        f'  <testsuite name="penstock-server policy test" {counts}>',
    ]
    for result in results:
        place, name = quoteattr(printable(result.case.place.source)), quoteattr(printable(result.case.name))
        lines.append(f'    <testcase classname={place} name={name} line="{result.case.place.line}">')
        if not result.passed:
            what = ", ".join(mismatch.what for mismatch in result.mismatches)
            lines.append(f"      <failure message={quoteattr(f'otherwise than expected: {what}')}>")
            for mismatch in result.mismatches:
                lines += [escape(printable(f"{sign} {line}")) for sign, _, line in _lines(mismatch)]
            lines.append("      </failure>")
        lines.append("    </testcase>")
    return [*lines, "  </testsuite>", "</testsuites>"]


def _lines(mismatch: Mismatch) -> list[tuple[str, str, str]]:
    """Give the lines of a difference: what was expected and is not there, and what is there instead."""
    lines = [("-", "red", f"{mismatch.what}: {line}") for line in mismatch.expected]
    return lines + [("+", "green", f"{mismatch.what}: {line}") for line in mismatch.found]
