"""Finds the policy files of the configured paths, and reads the rules datasets that they name.

INVARIANT: no file of a policy folder is left out in silence: a rules dataset in a file that nobody reads would open
rows.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from penstock_server.config.document import Place
from penstock_server.policy.problems import Problems

MAX_RULES_BYTES: Final = 512 * 1024 * 1024
"""Largest rules dataset; a million rows take about 50 MiB."""

_POLICY_SUFFIXES: Final = frozenset({".yaml", ".yml"})
_OTHER_SUFFIXES: Final = frozenset({".csv", ".md", ".txt"})


def policy_files(paths: tuple[Path, ...], problems: Problems) -> tuple[Path, ...]:
    """Give the policy files of files and folders, folders below too, each once.

    Names that begin with a dot are skipped: Kubernetes keeps the versions of a mounted folder in such.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        place = Place(source=str(path), line=0, column=1)
        if path.is_dir():
            inside: dict[Path, Path] = {}
            _walk(path, inside, set(), problems)
            for real, named in inside.items():
                found.setdefault(real, named)
            if not inside:
                problems.add(place, "holds no policy file; one ends in `.yaml` or `.yml`")
        elif path.is_file():
            found.setdefault(_real(path), path)
        else:
            problems.add(place, "there is no such file or folder; correct `policies` in the configuration")
    return tuple(found.values())


def is_policy_name(name: str) -> bool:
    """Tell whether a file of this name is a policy file."""
    return Path(name).suffix in _POLICY_SUFFIXES


def read_rules_file(path: Path, place: Place, problems: Problems) -> bytes | None:
    """Read a rules dataset; `place` is where the policy names it."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            problems.add(place, f"`{path}` is not a regular file")
            return None
        with path.open("rb") as file:
            raw = file.read(MAX_RULES_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the name cannot be used"
        problems.add(place, f"`{path}` cannot be read: {reason}")
        return None
    if len(raw) > MAX_RULES_BYTES:
        problems.add(place, f"`{path}` is larger than {MAX_RULES_BYTES} bytes")
        return None
    return raw


def _walk(folder: Path, found: dict[Path, Path], entered: set[Path], problems: Problems) -> None:
    entered.add(_real(folder))
    try:
        entries = [(entry, entry.is_dir()) for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
    except OSError as error:
        problems.add(Place(source=str(folder), line=0, column=1), f"cannot be read: {error.strerror}")
        return
    for entry, is_folder in entries:
        if is_folder:
            if _real(entry) not in entered:
                _walk(entry, found, entered, problems)
        elif entry.suffix in _POLICY_SUFFIXES:
            found.setdefault(_real(entry), entry)
        elif entry.suffix not in _OTHER_SUFFIXES:
            problems.add(
                Place(source=str(entry), line=0, column=1),
                "is no policy file, yet lies among them; end it in `.yaml` or `.yml`, or move it away",
            )


def _real(path: Path) -> Path:
    """Give what a path leads to; a loop of links leads to itself, and is told when it cannot be read."""
    # Python: Path.resolve raises RuntimeError for a loop (3.11).
    return Path(os.path.realpath(path))
