"""Findings for a program. The keys are a public contract: new ones may come, none goes."""

from __future__ import annotations

import json
from typing import Any

from penstock_server.cli.terminal import Terminal
from penstock_server.cli.validation_formats.findings import Findings
from penstock_server.policy.problems import LocatedProblem


def write(found: Findings, terminal: Terminal) -> None:
    """Print the findings as one JSON object."""
    for line in json.dumps(as_json(found), indent=2).splitlines():
        terminal.raw(line)


def as_json(found: Findings) -> dict[str, Any]:
    """Give the findings as JSON values."""
    return {
        "valid": not found.problems,
        "version": found.version,
        "paths": list(found.paths),
        "problems": [_finding(problem) for problem in found.problems],
        "warnings": [_finding(warning) for warning in found.warnings],
        "unchecked": list(found.unchecked),
    }


def _finding(finding: LocatedProblem) -> dict[str, Any]:
    return {"path": finding.path, "line": finding.line, "message": finding.what}
