"""Whether the configuration can be read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from penstock_server.cli.doctor_checks.finding import Finding, failed, ok
from penstock_server.config.loading import load
from penstock_server.config.settings import Settings
from penstock_server.errors import ConfigurationError

SUBJECT: Final = "configuration"
_CLAIM: Final = "the file can be read"


def findings(path: Path, *, environ: Mapping[str, str]) -> tuple[Settings | None, list[Finding]]:
    """Read the configuration; gives it, or None where it has problems, and what was found."""
    try:
        settings = load(path, environ=environ)
    except ConfigurationError as error:
        fix = "mend the line; `penstock-server check` then looks at policies and catalogs too"
        return None, [failed(SUBJECT, _CLAIM, problem, fix=fix) for problem in error.problems]
    return settings, [ok(SUBJECT, _CLAIM, str(settings.source))]
