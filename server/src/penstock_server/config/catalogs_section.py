"""The section `catalogs`: where tables are."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Final

from penstock_server.config.addresses import parse_location
from penstock_server.config.document import Entry
from penstock_server.config.paths import existing_file, existing_folder
from penstock_server.config.reading import MapReader, shown
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.model.resource import S3Location, fold

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}", re.ASCII)

# DuckDB: databases that every instance has, and schemas that every database has (2.0.0).
_RESERVED: Final = frozenset({"system", "temp", "memory", "main", "information_schema", "pg_catalog"})


class _Engine(StrEnum):
    DUCKDB = "duckdb"


def read_catalogs(reader: MapReader, base: Path) -> tuple[CatalogSettings, ...]:
    """Read the section from the reader of the whole file; relative paths start at `base`."""
    reader.required("catalogs")
    entries = reader.named("catalogs")
    if not entries and reader.node("catalogs") is not None:
        reader.complain("catalogs", "must name at least one catalog")
    seen: set[str] = set()
    for entry in entries:
        if _NAME.fullmatch(entry.key) is None or fold(entry.key) in _RESERVED:
            what = (
                "is no name for a catalog: a letter, then letters, digits, `_` or `-`, and no name of the engine's own"
            )
            reader.problems.add(entry.place, f"{shown(entry.key)} {what}")
        if fold(entry.key) in seen:
            reader.problems.add(entry.place, f"{shown(entry.key)} stands here twice but for its case; rename one")
        seen.add(fold(entry.key))
    return tuple(_read_catalog(reader, entry, base) for entry in entries)


def check_catalog_name(name: str) -> None:
    """Accept a name for a catalog.

    Raises:
        ValueError: it is none; the text says what is.
    """
    if _NAME.fullmatch(name) is None or fold(name) in _RESERVED:
        raise ValueError(
            "is no name for a catalog: a letter, then letters, digits, `_` or `-`, and no name of the engine's own"
        )


def _read_catalog(parent: MapReader, entry: Entry, base: Path) -> CatalogSettings:
    reader = MapReader(
        entry.node,
        parent.problems,
        name=f"catalogs.{entry.key}",
        known=("engine", "parquet", "database", "location"),
        unavailable=("s3", "glue", "url", "order"),
        place=entry.place,
    )
    reader.required("engine")
    reader.choice("engine", _Engine, unavailable=("postgres", "redshift", "athena", "spark"))
    folder = existing_folder(reader, "parquet", base)
    file = existing_file(reader, "database", base)
    if folder is not None and file is not None:
        reader.complain("database", "stands beside `parquet`; keep one")
    if reader.node("parquet") is None and reader.node("database") is None:
        reader.problems.add(entry.place, f"`{reader.name}` needs `parquet` or `database`: where its tables are")
    return CatalogSettings(
        name=entry.key,
        kind=CatalogKind.DATABASE if file is not None else CatalogKind.PARQUET,
        path=file or folder or base,
        location=read_location(reader, "location"),
    )


def read_location(reader: MapReader, key: str) -> S3Location | None:
    """Read one S3 location; None where it is absent."""
    text = reader.text(key)
    if text is None:
        return None
    try:
        return parse_location(text)
    except ValueError as error:
        reader.complain(key, f"{shown(text)} {error}")
        return None
