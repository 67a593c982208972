"""A plan for a person at a terminal."""

from __future__ import annotations

from typing import Final

from penstock_server.cli.terminal import Terminal
from penstock_server.policy.proof.report import Report
from penstock_server.policy.proof.report_text import Mark, report_lines

_STYLES: Final = {
    Mark.SAME: "green",
    Mark.NARROWING: "cyan",
    Mark.WIDENING: "red",
    Mark.UNDECIDED: "yellow",
    Mark.SUBJECT: "bold",
    Mark.PLAIN: "",
}


def write(report: Report, terminal: Terminal) -> None:
    """Print the plan."""
    for line in report_lines(report):
        terminal.say_parts([(part.text, _STYLES[part.mark]) for part in line])
