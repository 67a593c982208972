"""Paths that a file names: relative ones start at the folder of that file."""

from __future__ import annotations

from pathlib import Path

from penstock_server.config.reading import MapReader, shown


def path_of(reader: MapReader, key: str, base: Path) -> Path | None:
    """Give the absolute path that a key names, whether or not it exists; None where the key is absent.

    Links are kept: what a mounted configuration points at may be replaced while we run.
    """
    text = reader.text(key)
    return base / text if text else None


def existing_file(reader: MapReader, key: str, base: Path) -> Path | None:
    """Give the absolute path of a file that must exist; None where the key is absent."""
    path = path_of(reader, key, base)
    if path is not None and not path.is_file():
        reader.complain(key, f"{shown(str(path))} is not a file, or cannot be reached")
    return path


def existing_folder(reader: MapReader, key: str, base: Path) -> Path | None:
    """Give the absolute path of a folder that must exist; None where the key is absent."""
    path = path_of(reader, key, base)
    if path is not None and not path.is_dir():
        reader.complain(key, f"{shown(str(path))} is not a folder, or cannot be reached")
    return path
