"""The entry point of the command, which can say what is missing where its extra is not installed."""

from __future__ import annotations

import importlib.util
import sys
from typing import NoReturn

from penstock.errors import missing_extra

_PACKAGES = ("typer", "rich", "yaml", "pyarrow")


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command with `arguments`, by default those of the process. Ends with SystemExit and the exit code."""
    for package in _PACKAGES:
        if importlib.util.find_spec(package) is None:
            error = missing_extra("cli", package, "the command `penstock`")
            sys.stderr.write(f"error: {error}\nhint: {error.hint}\n")
            sys.exit(1)
    from penstock.cli.running import run  # noqa: PLC0415 - needs the packages that were looked for

    sys.exit(run(arguments))
