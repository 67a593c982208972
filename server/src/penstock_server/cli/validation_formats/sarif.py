"""Findings as SARIF, for code scanning: a problem is an error, a warning a warning.

Source: OASIS, Static Analysis Results Interchange Format 2.1.0.
"""

from __future__ import annotations

import json
from typing import Any, Final

from penstock_server.cli.terminal import Terminal
from penstock_server.cli.validation_formats.findings import Findings
from penstock_server.policy.problems import LocatedProblem

_RULES: Final = {"problem": "The policy cannot be loaded", "warning": "The policy shows more than it seems to"}
_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def write(found: Findings, terminal: Terminal) -> None:
    """Print the findings as one SARIF log."""
    for line in json.dumps(as_sarif(found), indent=2).splitlines():
        terminal.raw(line)


def as_sarif(found: Findings) -> dict[str, Any]:
    """Give the findings as a SARIF log."""
    rules = [{"id": name, "shortDescription": {"text": text}} for name, text in _RULES.items()]
    path = found.paths[0] if found.paths else ""
    results = [_result("problem", "error", problem, path) for problem in found.problems]
    results += [_result("warning", "warning", warning, path) for warning in found.warnings]
    driver = {"name": "penstock-server policy validate", "rules": rules}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _result(rule: str, level: str, finding: LocatedProblem, path: str) -> dict[str, Any]:
    location = {"artifactLocation": {"uri": finding.path or path}, "region": {"startLine": finding.line or 1}}
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": finding.what},
        "locations": [{"physicalLocation": location}],
    }
