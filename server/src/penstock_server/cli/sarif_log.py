"""The frame of a SARIF log, which code scanning reads. Source: OASIS, SARIF 2.1.0."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from penstock_server.cli.terminal import Terminal

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif_log(command: str, rules: Mapping[str, str], results: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Give the log of one run of a command; `rules` are the ids that results name, with what each means."""
    described = [{"id": name, "shortDescription": {"text": text}} for name, text in rules.items()]
    driver = {"name": command, "rules": described}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": [*results]}]}


def write_log(log: Mapping[str, Any], terminal: Terminal) -> None:
    """Print a log."""
    for line in json.dumps(log, indent=2).splitlines():
        terminal.raw(line)
