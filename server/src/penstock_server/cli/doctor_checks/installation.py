"""What is installed: the interpreter, and the packages that enforce, which are pinned to the versions tested."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final

from penstock_server.cli.doctor_checks.finding import Finding, cannot_know, failed, ok

SUBJECT: Final = "installation"
_OLDEST: Final = (3, 11)
_PINNED: Final = ("duckdb", "pyarrow", "python-jose")
"""What enforces: another version than the pinned one has not been through the adversarial suite."""

_PIN: Final = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([0-9][0-9A-Za-z.]*)$", re.ASCII)
_REINSTALL: Final = "install `penstock-server` again, with the versions of its lock file"


def findings() -> Iterator[Finding]:
    """Look at the interpreter and at the pinned packages."""
    found = ".".join(str(part) for part in sys.version_info[:3])
    claim = "Python is 3.11 or newer"
    if sys.version_info[:2] >= _OLDEST:
        yield ok(SUBJECT, claim, found)
    else:
        yield failed(SUBJECT, claim, found, fix="run the service with a newer Python")
    pins = _pins()
    for package in _PINNED:
        yield _package(package, pins.get(package))


def _pins() -> dict[str, str]:
    try:
        lines = requires("penstock-server") or []
    except PackageNotFoundError:
        return {}
    return {match[1]: match[2] for line in lines if (match := _PIN.match(line.partition(";")[0].strip()))}


def _package(package: str, pinned: str | None) -> Finding:
    claim = f"{package} is the version that was tested"
    try:
        found = version(package)
    except PackageNotFoundError:
        return failed(SUBJECT, claim, "it is not installed", fix=_REINSTALL)
    if pinned is None:
        return cannot_know(SUBJECT, claim, f"{found}; this installation does not say which was", fix=_REINSTALL)
    if found == pinned:
        return ok(SUBJECT, claim, found)
    return failed(SUBJECT, claim, f"{found} where {pinned} was", fix=_REINSTALL)
