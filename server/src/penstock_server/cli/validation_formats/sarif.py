"""Findings as SARIF, for code scanning: a problem is an error, a warning a warning.

Source: OASIS, Static Analysis Results Interchange Format 2.1.0.
"""

from __future__ import annotations

from typing import Any, Final

from penstock_server.cli.sarif_log import sarif_log, write_log
from penstock_server.cli.terminal import Terminal
from penstock_server.cli.validation_formats.findings import Findings
from penstock_server.policy.problems import LocatedProblem

_RULES: Final = {"problem": "The policy cannot be loaded", "warning": "The policy shows more than it seems to"}


def write(found: Findings, terminal: Terminal) -> None:
    """Print the findings as one SARIF log."""
    write_log(as_sarif(found), terminal)


def as_sarif(found: Findings) -> dict[str, Any]:
    """Give the findings as a SARIF log."""
    path = found.paths[0] if found.paths else ""
    results = [_result("problem", "error", problem, path) for problem in found.problems]
    results += [_result("warning", "warning", warning, path) for warning in found.warnings]
    return sarif_log("penstock-server policy validate", _RULES, results)


def _result(rule: str, level: str, finding: LocatedProblem, path: str) -> dict[str, Any]:
    location = {"artifactLocation": {"uri": finding.path or path}, "region": {"startLine": finding.line or 1}}
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": finding.what},
        "locations": [{"physicalLocation": location}],
    }
