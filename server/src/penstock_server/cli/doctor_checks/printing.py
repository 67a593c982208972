"""Findings as lines for people, or as one JSON document."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum

from penstock_server.cli.doctor_checks.finding import Finding, Verdict, exit_code
from penstock_server.cli.terminal import Terminal

_STYLES = {Verdict.OK: "green", Verdict.FAILED: "red", Verdict.CANNOT_KNOW: "yellow"}
_WIDTH = max(len(verdict.value) for verdict in Verdict) + 2


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"


def print_findings(findings: Sequence[Finding], *, form: Format) -> int:
    """Print findings to standard output in their order, and give the exit code that they mean."""
    terminal = Terminal()
    code = exit_code(findings)
    if form is Format.JSON:
        document = {"healthy": code == 0, "findings": [asdict(finding) for finding in findings]}
        terminal.raw(json.dumps(document, indent=2))
        return code
    for finding in findings:
        told = f": {finding.detail}" if finding.detail else ""
        style = _STYLES[finding.verdict]
        terminal.say_parts(
            [(finding.verdict.value.ljust(_WIDTH), style), (f"{finding.subject}: {finding.claim}{told}", "")]
        )
        if finding.fix:
            terminal.say_parts([(" " * _WIDTH, ""), (f"fix: {finding.fix}", style)])
    counts = Counter(finding.verdict for finding in findings)
    terminal.say(", ".join(f"{counts[verdict]} {verdict.value}" for verdict in Verdict))
    return code
