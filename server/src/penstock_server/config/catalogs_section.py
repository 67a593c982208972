"""The section `catalogs`: where tables are."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Final

from penstock_server.config.addresses import check_region, check_url, parse_location
from penstock_server.config.document import Entry
from penstock_server.config.paths import existing_file, existing_folder
from penstock_server.config.reading import MapReader, shown
from penstock_server.config.settings import CatalogKind, CatalogSettings, GlueCatalogSettings, S3CatalogSettings
from penstock_server.model.resource import S3Location, fold

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}", re.ASCII)

# DuckDB: databases that every instance has, and schemas that every database has (2.0.0).
_RESERVED: Final = frozenset({"system", "temp", "memory", "main", "information_schema", "pg_catalog"})


class _Engine(StrEnum):
    DUCKDB = "duckdb"


class _Order(StrEnum):
    SOURCE = "source"
    CANONICAL = "canonical"


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
        known=("engine", "parquet", "database", "s3", "glue", "location", "order"),
        unavailable=("url",),
        place=entry.place,
    )
    reader.required("engine")
    reader.choice("engine", _Engine, unavailable=("postgres", "redshift", "athena", "spark"))
    folder = existing_folder(reader, "parquet", base)
    file = existing_file(reader, "database", base)
    s3 = _read_s3(reader)
    canonical = reader.choice("order", _Order) is _Order.CANONICAL
    location = read_location(reader, "location")
    written = [key for key in ("parquet", "database", "s3", "glue") if reader.node(key) is not None]
    for key in written[1:]:
        reader.complain(key, f"stands beside `{written[0]}`; keep one")
    if not written:
        reader.problems.add(
            entry.place, f"`{reader.name}` needs `parquet`, `database`, `s3` or `glue`: where its tables are"
        )
    glue = _read_glue(reader)
    if glue is not None:
        return CatalogSettings(
            name=entry.key,
            kind=CatalogKind.GLUE,
            path=base,
            location=location,
            glue=glue,
            canonical_order=canonical,
        )
    if s3 is None:
        kind = CatalogKind.DATABASE if file is not None else CatalogKind.PARQUET
        return CatalogSettings(
            name=entry.key, kind=kind, path=file or folder or base, location=location, canonical_order=canonical
        )
    if location is not None:
        reader.complain("location", "stands beside `s3`, whose `uri` it is; leave it out")
    return CatalogSettings(
        name=entry.key, kind=CatalogKind.S3, path=base, location=s3.uri, s3=s3, canonical_order=canonical
    )


def _read_glue(parent: MapReader) -> GlueCatalogSettings | None:
    reader = parent.map("glue", known=("databases", "region", "endpoint_url", "catalog_id", "role"))
    if reader is None:
        return None
    reader.required("databases")
    region, endpoint_url = _read_address(reader)
    catalog_id = reader.text("catalog_id")
    if catalog_id is not None and re.fullmatch(r"[0-9]{12}", catalog_id, re.ASCII) is None:
        reader.complain("catalog_id", f"{shown(catalog_id)} is no account: twelve digits")
    return GlueCatalogSettings(
        databases=reader.texts("databases") or (),
        region=region,
        endpoint_url=endpoint_url,
        catalog_id=catalog_id,
        role=reader.text("role"),
    )


def _read_address(reader: MapReader) -> tuple[str, str | None]:
    """Give the region and the endpoint, where there is one."""
    region, endpoint_url = reader.required_text("region"), reader.text("endpoint_url")
    for key, text, check in (("region", region, check_region), ("endpoint_url", endpoint_url, check_url)):
        try:
            if text:
                check(text)
        except ValueError as error:
            reader.complain(key, f"{shown(text or '')} {error}")
    return region, endpoint_url


def _read_s3(parent: MapReader) -> S3CatalogSettings | None:
    reader = parent.map("s3", known=("uri", "region", "endpoint_url", "role"))
    if reader is None:
        return None
    reader.required("uri")
    region, endpoint_url = _read_address(reader)
    uri = read_location(reader, "uri") or S3Location(bucket="", key="")
    if any(part in {".", ".."} for part in uri.key.split("/")) or "//" in uri.key or any(c in uri.key for c in "*?[="):
        reader.complain("uri", "has a part `.`, `..` or none, or one of `*?[=`, which paths of tables cannot have")
    # A folder: `s3://lake/curated` must not be taken for the beginning of `curated-old/`.
    key = f"{uri.key}/" if uri.key and not uri.key.endswith("/") else uri.key
    folder = S3Location(bucket=uri.bucket, key=key)
    return S3CatalogSettings(uri=folder, region=region, endpoint_url=endpoint_url, role=reader.text("role"))


def check_source_roles(reader: MapReader, catalogs: tuple[CatalogSettings, ...], roles: frozenset[str]) -> None:
    """Require that the role of every catalog is one of `credentials.aws.roles`; `reader` is that of the whole file."""
    for catalog, entry in zip(catalogs, reader.named("catalogs"), strict=True):
        source = catalog.s3 or catalog.glue
        if source is not None and source.role is not None and source.role not in roles:
            key = f"catalogs.{catalog.name}.{catalog.kind}.role"
            reader.problems.add(entry.place, f"`{key}`: {shown(source.role)} is not in `credentials.aws.roles`")


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
