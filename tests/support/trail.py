"""The audit trail of a running server, read from its folder as an investigator would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def records(folder: Path) -> list[dict[str, Any]]:
    """All complete records of the audit under a server's folder, oldest first."""
    found: list[dict[str, Any]] = []
    for file in sorted((folder / "var" / "audit").rglob("*")):
        if file.is_file() and file.name != "lock":
            found.extend(
                json.loads(line) for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")
            )
    return [record for record in found if "sequence" in record]


def of_request(folder: Path, request_id: str) -> list[dict[str, Any]]:
    """The records of one call."""
    return [record for record in records(folder) if record["request_id"] == request_id]


def details(record: dict[str, Any]) -> dict[str, str]:
    """The further facts of a record."""
    return dict(record["details"])
