"""Policies, tables and principals for tests: text in, bound policy out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from penstock_server.model.principal import Group, KnownIssuers, Principal
from penstock_server.model.resource import S3Location, TableName
from penstock_server.model.schema import CatalogSnapshot, Column, ColumnType, TableSchema, TypeFamily, struct_type
from penstock_server.policy.binding import bind
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.reading.files import load
from penstock_server.policy.source import PolicySource

ISSUER = "https://login.test"
OTHER_ISSUER = "https://other.test"
ISSUERS = KnownIssuers(default=ISSUER, issuers=(ISSUER, OTHER_ISSUER), prefixes=(("other:", OTHER_ISSUER),))
NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)

_FAMILIES = {
    "VARCHAR": TypeFamily.TEXT,
    "BOOLEAN": TypeFamily.BOOLEAN,
    "DATE": TypeFamily.DATE,
    **dict.fromkeys(["TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"], TypeFamily.TIMESTAMP),
    "TIMESTAMP WITH TIME ZONE": TypeFamily.TIMESTAMP_TZ,
    "FLOAT": TypeFamily.FLOAT,
    "DOUBLE": TypeFamily.FLOAT,
    **dict.fromkeys(
        [f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")]
        + ["INTEGER", "UINTEGER"],
        TypeFamily.INTEGER,
    ),
}


def column_type(sql: str) -> ColumnType:
    """Give a type with its family, as the engine's inspection does."""
    if sql.startswith("STRUCT(") and sql.endswith(")"):
        return struct_type(tuple(_field(part) for part in _split(sql.removeprefix("STRUCT(")[:-1])))
    family = TypeFamily.DECIMAL if sql.startswith("DECIMAL(") else _FAMILIES.get(sql, TypeFamily.OTHER)
    return ColumnType(sql=sql, family=family)


def _field(text: str) -> Column:
    """Give the field `name TYPE` or `"na me" TYPE` of a STRUCT."""
    text = text.strip()
    if text.startswith('"'):
        end = text.index('" ')
        return Column(name=text[1:end].replace('""', '"'), type=column_type(text[end + 2 :]))
    name, _, sql = text.partition(" ")
    return Column(name=name, type=column_type(sql))


def _split(text: str) -> list[str]:
    """Split at commas that stand in no parentheses."""
    parts, depth = [""], 0
    for letter in text:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def table(name: str, columns: Mapping[str, str], location: str | None = None) -> TableSchema:
    """Give a table by its full name, its columns with their types, and `bucket/key` where its files live."""
    catalog, database, last = name.split(".", 2)
    bucket, _, key = (location or "").partition("/")
    return TableSchema(
        name=TableName(catalog=catalog, database=database, table=last),
        columns=tuple(Column(name=column, type=column_type(sql)) for column, sql in columns.items()),
        location=S3Location(bucket=bucket, key=key) if location is not None else None,
    )


def name_of(text: str) -> TableName:
    """Give a table's name."""
    catalog, database, last = text.split(".", 2)
    return TableName(catalog=catalog, database=database, table=last)


def write_policies(folder: Path, files: Mapping[str, str]) -> Path:
    """Write policy files and rules datasets into a folder of their own."""
    policies = folder / "policies"
    policies.mkdir(exist_ok=True)
    for name, text in files.items():
        path = policies / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(text.encode())
    return policies


def load_policy(folder: Path, text: str, **files: str) -> PolicySource:
    """Load one policy file, `policy.yaml`, with rules datasets beside it: `rules="..."` is `rules.csv`."""
    datasets = {f"{name}.csv": content for name, content in files.items()}
    return load((write_policies(folder, {"policy.yaml": text, **datasets}),), ISSUERS)


def bind_policy(folder: Path, text: str, *tables: TableSchema, logins: Iterable[str] = (), **files: str) -> BoundPolicy:
    """Load and bind one policy file."""
    source = load_policy(folder, text, **files)
    return bind(source, CatalogSnapshot(tables=tables), logins=frozenset(logins))


def principal(
    username: str | None = "alice",
    *,
    groups: Iterable[str] = (),
    groups_complete: bool = True,
    issuer: str = ISSUER,
    subject: str | None = None,
    attributes: Mapping[str, tuple[str, ...]] | None = None,
) -> Principal:
    """Give a verified principal; groups are of its own issuer."""
    return Principal(
        issuer=issuer,
        subject=subject if subject is not None else f"subject-of-{username}",
        username=username,
        groups=frozenset(Group(issuer=issuer, name=name) for name in groups),
        groups_complete=groups_complete,
        attributes=tuple(sorted((attributes or {}).items())),
        client_id=None,
        authentication_methods=(),
        issued_at=NOW - timedelta(minutes=1),
        expires_at=NOW + timedelta(hours=1),
    )
