"""Reads what limits a grant on a resource of an AWS service: `kms` of a key, `statements` of a Redshift cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from penstock_server.config.document import MapNode
from penstock_server.model.services import PERMISSIONS, Service, ServicePermission, ServiceTarget
from penstock_server.policy.items.templates import KeyTemplate, parse_key_template
from penstock_server.policy.problems import Problems
from penstock_server.policy.reading.fields import Fields, Keys, text_of

VIA: Final = "via"
CONTEXT: Final = "context:"
DATABASE: Final = "database"
DATABASE_USER: Final = "database_user"

_KMS_KEYS: Final = Keys(what="`kms`", known=frozenset({"via", "encryption_context"}), unavailable=frozenset())
_STATEMENT_KEYS: Final = Keys(
    what="`statements`", known=frozenset({"database", "database_user"}), unavailable=frozenset()
)
_VIA: Final = ("dynamodb", "kinesis", "s3", "sqs")
"""Services that may use a key for the caller. AWS: KMS developer guide, "kms:ViaService"."""
_CONTEXT_NAME: Final = re.compile(r"[A-Za-z0-9_.:/@-]{1,128}", re.ASCII)
_DATABASE: Final = re.compile(r"[a-z_][a-z0-9_$-]{0,63}", re.ASCII)
_USER_PREFIX: Final = "pk_"
"""SECURITY: no other user of a cluster may be named, so that none is a superuser or somebody's own."""
_MAX_CONTEXT: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitTemplate:
    """A limit as a grant writes it; a value may have a variable of the caller."""

    name: str
    values: tuple[KeyTemplate, ...]


def read_limits(
    fields: Fields, target: ServiceTarget, permissions: frozenset[ServicePermission], problems: Problems
) -> tuple[LimitTemplate, ...] | None:
    """Read the limits of a grant, by name, and hold its permissions against its service; None where one is wrong."""
    before = len(problems)
    known = PERMISSIONS[target.service].values()
    for permission in sorted(permissions.difference(known)):
        words = ", ".join(each.value for each in known)
        problems.add(
            fields.place_of("permissions"), f"`{permission.value}` is no permission of {target.service}; write {words}"
        )
    if target.service is Service.KINESIS and "/consumer/" in target.name and ServicePermission.WRITE in permissions:
        problems.add(fields.place_of("permissions"), "a consumer cannot be written to; grant WRITE on its stream")
    for key, service in (("kms", Service.KMS), ("statements", Service.REDSHIFT_DATA)):
        if fields.has(key) and target.service is not service:
            problems.add(fields.place_of(key), f"`{key}` goes with a resource of {service}")
    limits: tuple[LimitTemplate, ...] = ()
    if target.service is Service.KMS:
        limits = _kms(fields, target, problems)
    elif target.service is Service.REDSHIFT_DATA:
        limits = _statements(fields, problems)
    return tuple(sorted(limits, key=lambda limit: limit.name)) if len(problems) == before else None


def _kms(grant: Fields, target: ServiceTarget, problems: Problems) -> tuple[LimitTemplate, ...]:
    # SECURITY: without either, whatever the key has ever encrypted could be decrypted, by whatever way it was got.
    node = grant.mapping("kms")
    if not isinstance(node, MapNode):
        return ()
    fields = Fields(node, _KMS_KEYS, problems)
    limits: list[LimitTemplate] = []
    services = fields.texts("via") if fields.has("via") else None
    for service in services or ():
        if service.value not in _VIA:
            problems.add(service.place, f"`{service.value}` is no service here; write one of {', '.join(_VIA)}")
    if services:
        names = sorted(f"{service.value}.{target.region}.amazonaws.com" for service in services)
        limits.append(LimitTemplate(name=VIA, values=tuple(_fixed(name) for name in names)))
    context = fields.mapping("encryption_context") if fields.has("encryption_context") else None
    entries = () if context is None else context.entries
    if len(entries) > _MAX_CONTEXT or len({entry.key.lower() for entry in entries}) != len(entries):
        problems.add(
            fields.place_of("encryption_context"),
            f"`encryption_context` has at most {_MAX_CONTEXT} names, no two of which differ in case alone",
        )
    for entry in entries:
        if _CONTEXT_NAME.fullmatch(entry.key) is None:
            problems.add(entry.place, f"`{entry.key}` is no name in an encryption context that can be written here")
        text = text_of(entry.node, entry.key, problems)
        if text is not None:
            try:
                limits.append(LimitTemplate(name=f"{CONTEXT}{entry.key}", values=(parse_key_template(text.value),)))
            except ValueError as error:
                problems.add(text.place, f"`{text.value}` in `encryption_context` {error}")
    return tuple(limits)


def _statements(grant: Fields, problems: Problems) -> tuple[LimitTemplate, ...]:
    node = grant.mapping("statements")
    if not isinstance(node, MapNode):
        return ()
    fields = Fields(node, _STATEMENT_KEYS, problems)
    database, user = fields.text("database"), fields.parsed("database_user", parse_key_template)
    if database is None or user is None:
        return ()
    if _DATABASE.fullmatch(database.value) is None:
        problems.add(database.place, f"`{database.value}` is no name of a database: a-z, 0-9, `_`, `$`, `-`")
    if not is_database_user(f"{user.before}{'' if user.key is None else 'x'}{user.after}"):
        problems.add(
            fields.place_of("database_user"),
            f"`{user.text}` must begin with `{_USER_PREFIX}` and be a lower-case user of at most 64 characters",
        )
    return (
        LimitTemplate(name=DATABASE, values=(_fixed(database.value),)),
        LimitTemplate(name=DATABASE_USER, values=(user,)),
    )


def is_database_user(text: str) -> bool:
    """Tell whether a text may be the database user of statements: never folded, never cut."""
    # SECURITY: `l_` begins users of leases, which are somebody's for a while, and `d_` roles, as `setup` makes them.
    return re.fullmatch(rf"{_USER_PREFIX}(?![ld]_)[a-z0-9_.@+-]{{1,61}}", text, re.ASCII) is not None


def _fixed(text: str) -> KeyTemplate:
    return KeyTemplate(text=text, before=text, key=None, after="")
