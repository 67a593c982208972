"""JSON files, read strictly: a name that stands twice in an object is refused, for readers differ about what counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from penstock_server.errors import ConfigurationError

MAX_BYTES: Final = 256 * 1024 * 1024
"""Largest file that is read."""


def read_json(path: Path) -> object:
    """Give what a JSON file holds.

    Raises:
        ConfigurationError: it cannot be read, is too large, or is not JSON in UTF-8.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError((f"{path}: cannot be read: {error.strerror}",)) from error
    if len(raw) > MAX_BYTES:
        raise ConfigurationError((f"{path}: is larger than {MAX_BYTES} bytes",))
    try:
        value: object = json.loads(raw.decode("utf-8", "strict"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError((f"{path}: is not JSON in UTF-8: {error}",)) from error
    return value


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"`{name}` is no JSON")
