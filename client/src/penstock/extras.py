"""Optional packages, loaded when a call needs them; one that is missing is named together with its extra."""

from __future__ import annotations

import importlib
from types import ModuleType

from penstock.errors import missing_extra


def load(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import a module of an optional package.

    Raises:
        MissingExtra: the package is not installed; the hint is the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise missing_extra(extra, package, purpose) from error
