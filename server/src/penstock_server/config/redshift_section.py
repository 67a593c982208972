"""The entries of `credentials.redshift`: warehouses to which people log in."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from penstock_server.config.document import Entry
from penstock_server.config.named_entries import REGION, ROLE_ARN, check_name, matching
from penstock_server.config.reading import MapReader, shown
from penstock_server.config.secrets import check_reference
from penstock_server.config.settings import (
    DatabaseUserStyle,
    NativeSettings,
    ReaperSettings,
    RedshiftSettings,
    SharedUserSettings,
    WarehouseKind,
)

_CLUSTER: Final = re.compile(r"[a-z](-?[a-z0-9])*", re.ASCII)
_WORKGROUP: Final = re.compile(r"[a-z0-9-]{3,64}", re.ASCII)
_DATABASE: Final = re.compile(r"[a-z_][a-z0-9_$]{0,63}", re.ASCII)
_USER_PREFIX: Final = re.compile(r"[a-z][a-z0-9_]{0,19}", re.ASCII)
_DATABASE_USER: Final = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
_DATABASE_ROLE: Final = re.compile(r"[a-z][a-z0-9_.@+-]{0,63}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost"})
_MAX_CLUSTER: Final = 63
_DEFAULT_PORT: Final = 5439
_KEYS: Final = (
    *("kind", "cluster_identifier", "workgroup", "region", "database", "host", "port", "identity", "user_prefix"),
    *("auto_create", "role", "external_id", "database_roles", "reaper", "enforcement", "catalog", "open_schemas"),
)


class _Enforcement(StrEnum):
    NATIVE = "native"


def read_redshift(parent: MapReader) -> tuple[RedshiftSettings, ...]:
    """Read the entries. Problems go to the reader's collection."""
    entries = parent.named("redshift")
    found = tuple(_read(parent, entry) for entry in entries)
    roles: dict[str, str] = {}
    for entry, login in zip(entries, found, strict=True):
        if login.shared is not None:
            # SECURITY: the role's one database user would have the database roles of both logins.
            other = roles.setdefault(login.shared.role, login.name)
            if other != login.name:
                what = f"has the IAM role of {shown(other)}; each set of database roles needs a role of its own"
                parent.problems.add(entry.place, f"`{parent.path('redshift')}.{entry.key}` {what}")
    return found


def _read(parent: MapReader, entry: Entry) -> RedshiftSettings:
    reader = MapReader(
        entry.node,
        parent.problems,
        name=f"{parent.path('redshift')}.{entry.key}",
        known=_KEYS,
        place=entry.place,
    )
    check_name(reader, entry)
    kind = reader.choice("kind", WarehouseKind) or WarehouseKind.CLUSTER
    for key in ("region", "database", "host"):
        reader.required(key)
    cluster, workgroup = _read_place(reader, kind)
    host = matching(reader, "host", _HOST, "a host name without scheme and port")
    identity = reader.choice("identity", DatabaseUserStyle)
    login = RedshiftSettings(
        name=entry.key,
        kind=kind,
        cluster_identifier=cluster,
        workgroup=workgroup,
        region=matching(reader, "region", REGION, "`eu-west-1`"),
        database=matching(reader, "database", _DATABASE, "a lower-case name of at most 64 letters, digits, `_` or `$`"),
        host=host,
        port=reader.integer("port", minimum=1, maximum=65535) or _DEFAULT_PORT,
        identity=identity or DatabaseUserStyle.USERNAME,
        # SECURITY: a prefix keeps every name that we ask for apart from the administrators' own.
        user_prefix=matching(
            reader, "user_prefix", _USER_PREFIX, "`pk_`: a lower-case letter, then letters, digits, `_`"
        )
        or "pk_",
        auto_create=reader.boolean("auto_create", default=False),
        shared=_read_shared(reader, kind),
        reaper=_read_reaper(reader, host),
        native=_read_native(reader),
    )
    _check(reader, login)
    return login


def _read_place(reader: MapReader, kind: WarehouseKind) -> tuple[str, str]:
    """Give the identifier of the cluster and the name of the workgroup; one of them is empty."""
    key, other = ("workgroup", "cluster_identifier")
    if kind is not WarehouseKind.SERVERLESS:
        key, other = other, key
    if reader.node(key) is None:
        reader.complain(key, f"is needed with `kind: {kind.value}`")
    if reader.node(other) is not None:
        reader.complain(other, f"does not go with `kind: {kind.value}`, which has `{key}`")
    cluster = matching(reader, "cluster_identifier", _CLUSTER, "lower-case letters, digits and single hyphens")
    if len(cluster) > _MAX_CLUSTER:
        reader.complain("cluster_identifier", f"has more than {_MAX_CLUSTER} characters")
    workgroup = matching(reader, "workgroup", _WORKGROUP, "3 to 64 lower-case letters, digits and hyphens")
    return (cluster, "") if key == "cluster_identifier" else ("", workgroup)


def _read_shared(reader: MapReader, kind: WarehouseKind) -> SharedUserSettings | None:
    settings = SharedUserSettings(
        role=matching(reader, "role", ROLE_ARN, "`arn:aws:iam::111122223333:role/NAME`"),
        external_id=_reference(reader, "external_id"),
        database_roles=tuple(sorted({text for text, _ in reader.placed_texts("database_roles")})),
    )
    if kind is WarehouseKind.CLUSTER:
        for key in ("role", "external_id", "database_roles"):
            if reader.node(key) is not None:
                reader.complain(key, "goes with a kind whose people share a database user; see `kind`")
        return None
    for key in ("identity", "user_prefix", "auto_create", "reaper", "enforcement"):
        # SECURITY: the one user is everybody's, so nothing in the database can tell them apart.
        if reader.node(key) is not None:
            reader.complain(key, f"does not go with `kind: {kind.value}`: its people share one database user")
    if reader.node("role") is None:
        reader.complain("role", f"is needed with `kind: {kind.value}`")
    for role in settings.database_roles:
        if _DATABASE_ROLE.fullmatch(role) is None:
            reader.complain("database_roles", f"{shown(role)} is no lower-case name of a database role")
    return settings


def _read_reaper(parent: MapReader, host: str) -> ReaperSettings | None:
    reader = parent.map("reaper", known=("user", "password", "encrypted"))
    if reader is None:
        return None
    reader.required("user")
    reader.required("password")
    encrypted = reader.boolean("encrypted", default=True)
    if not encrypted and host not in _LOOPBACK:
        reader.complain("encrypted", "may be off on a loopback address only")
    return ReaperSettings(
        user=matching(reader, "user", _DATABASE_USER, "`penstock_reaper`: lower-case letters, digits, `_`"),
        password=_reference(reader, "password") or "",
        encrypted=encrypted,
    )


def _read_native(reader: MapReader) -> NativeSettings | None:
    settings = NativeSettings(
        catalog=reader.text("catalog") or "",
        open_schemas=tuple(text for text, _ in reader.placed_texts("open_schemas")),
    )
    if reader.choice("enforcement", _Enforcement) is None:
        for key in ("catalog", "open_schemas"):
            if reader.node(key) is not None:
                reader.complain(key, "goes with `enforcement: native`")
        return None
    if reader.node("catalog") is None:
        reader.complain("catalog", "is needed with `enforcement: native`")
    return settings


def _check(reader: MapReader, login: RedshiftSettings) -> None:
    if login.shared is not None:
        return
    if login.reaper is not None and login.reaper.user.startswith(login.user_prefix):
        reader.complain("reaper", f"its user must not begin with {shown(login.user_prefix)}: people's users do")
    if login.identity is DatabaseUserStyle.LEASE and login.reaper is None:
        reader.complain("identity", "`lease` needs `reaper`, which makes and drops the users")
    if login.identity is DatabaseUserStyle.LEASE and login.auto_create:
        reader.complain("auto_create", "does not go with `identity: lease`, whose users the reaper makes")
    if login.native is not None and login.identity is not DatabaseUserStyle.LEASE:
        # SECURITY: a user that stays may have gathered memberships; one of a lease has exactly what it was made with.
        reader.complain("enforcement", "`native` needs `identity: lease`")


def _reference(reader: MapReader, key: str) -> str | None:
    reference = reader.text(key)
    if reference is not None:
        try:
            check_reference(reference)
        except ValueError as error:
            reader.complain(key, str(error))
    return reference
