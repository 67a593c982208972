"""Findings for a person at a terminal."""

from __future__ import annotations

from penstock_server.cli.terminal import Terminal
from penstock_server.cli.validation_formats.findings import Findings, in_one_line


def write(found: Findings, terminal: Terminal) -> None:
    """Print the findings: problems to standard error, all else to standard output."""
    for warning in found.warnings:
        terminal.say_parts([("warning      ", "yellow"), (in_one_line(warning), "")])
    for line in found.unchecked:
        terminal.say_parts([("not checked  ", "yellow"), (line, "")])
    for problem in found.problems:
        terminal.complain(in_one_line(problem))
    if found.problems:
        terminal.complain(f"problems: {len(found.problems)}")
        return
    terminal.say_parts([("ok           ", "green"), (f"policy version {found.version}", "")])
