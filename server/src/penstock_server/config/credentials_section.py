"""The section `credentials`: AWS roles and Redshift clusters."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from typing import Final

from penstock_server.config.addresses import check_bucket, check_url, parse_location
from penstock_server.config.document import Entry
from penstock_server.config.reading import MapReader, shown
from penstock_server.config.secrets import check_reference
from penstock_server.config.settings import (
    AwsSettings,
    CredentialSettings,
    DatabaseUserStyle,
    LifetimeRule,
    RedshiftSettings,
    RevocationSettings,
    RoleSettings,
)
from penstock_server.model.dynamodb import parse_target
from penstock_server.model.resource import S3Location

# AWS: a session is between 15 minutes and, where one role assumes another as here, 1 hour (STS API, AssumeRole).
_SHORTEST: Final = timedelta(minutes=15)
_LONGEST: Final = timedelta(hours=1)

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}", re.ASCII)
_REGION: Final = re.compile(r"[a-z]{2,4}(-[a-z]+){1,3}-[0-9]{1,2}", re.ASCII)
_ROLE_ARN: Final = re.compile(r"arn:aws(-[a-z]+)*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}", re.ASCII)
_POLICY_ARN: Final = re.compile(r"arn:aws(-[a-z]+)*:iam::[0-9]{12}:policy/[\w+=,.@/-]{1,512}", re.ASCII)
_SERVES: Final = re.compile(r"arn:aws(?:-[a-z]+)*:s3:::([^/*?$]+)(?:/((?:[^*?$]*/)?)\*)?", re.ASCII)
_CLUSTER: Final = re.compile(r"[a-z](-?[a-z0-9])*", re.ASCII)
_DATABASE: Final = re.compile(r"[a-z_][a-z0-9_$]{0,63}", re.ASCII)
_USER_PREFIX: Final = re.compile(r"[a-z][a-z0-9_]{0,19}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_MAX_CLUSTER: Final = 63
_DEFAULT_PORT: Final = 5439


class _Kind(StrEnum):
    CLUSTER = "cluster"


def read_credentials(reader: MapReader) -> CredentialSettings:
    """Read the section. Problems go to the reader's collection."""
    # An empty list says that nothing is accepted, which is what this version does.
    if reader.items("accepted_resource_grants"):
        reader.complain("accepted_resource_grants", "is not available in this version; leave it empty")
    aws = reader.map("aws", known=("region", "endpoint_url", "roles", "revocation"))
    redshift = tuple(_read_redshift(reader, entry) for entry in reader.named("redshift"))
    if redshift and aws is None:
        reader.complain("redshift", "needs `credentials.aws`: logins are asked for there")
    return CredentialSettings(
        lifetime=reader.choice("lifetime", LifetimeRule) or LifetimeRule.TOKEN,
        protected_locations=_locations(reader),
        aws=_read_aws(aws) if aws is not None else None,
        redshift=redshift,
    )


def _locations(reader: MapReader) -> tuple[S3Location, ...]:
    found = []
    for text, place in reader.placed_texts("protected_locations"):
        try:
            found.append(parse_location(text))
        except ValueError as error:
            reader.problems.add(place, f"`{reader.path('protected_locations')}`: {shown(text)} {error}")
    return tuple(found)


def _read_aws(reader: MapReader) -> AwsSettings:
    entries = reader.named("roles")
    roles = tuple(_read_role(reader, entry) for entry in entries)
    _check_overlaps(reader, entries, roles)
    endpoint_url = reader.text("endpoint_url")
    if endpoint_url is not None:
        try:
            check_url(endpoint_url)
        except ValueError as error:
            reader.complain("endpoint_url", f"{shown(endpoint_url)} {error}")
    reader.required("region")
    return AwsSettings(
        region=_matching(reader, "region", _REGION, "`eu-west-1`"),
        endpoint_url=endpoint_url,
        roles=roles,
        revocation=_read_revocation(reader, roles),
    )


def _read_revocation(parent: MapReader, roles: tuple[RoleSettings, ...]) -> RevocationSettings | None:
    reader = parent.map("revocation", known=("role", "boundary"))
    if reader is None:
        return None
    reader.required("role")
    reader.required("boundary")
    role = _matching(reader, "role", _ROLE_ARN, "`arn:aws:iam::111122223333:role/NAME`")
    boundary = _matching(reader, "boundary", _POLICY_ARN, "`arn:aws:iam::111122223333:policy/NAME`")
    # SECURITY: whoever holds a session of a target role must not be able to write what revokes it.
    if role and any(role == target.arn for target in roles):
        reader.complain("role", "must be a role of its own, which no entry of `roles` names")
    accounts = {target.arn.split(":")[4] for target in roles if target.arn.count(":") >= 5}
    if boundary.count(":") >= 5 and accounts and boundary.split(":")[4] not in accounts:
        reader.complain("boundary", "lies in an account of none of the `roles`: AWS takes boundaries of the role's own")
    return RevocationSettings(role=role, boundary=boundary)


def _read_role(parent: MapReader, entry: Entry) -> RoleSettings:
    name = f"{parent.path('roles')}.{entry.key}"
    known = ("arn", "external_id", "serves", "max_ttl")
    reader = MapReader(entry.node, parent.problems, name=name, known=known, place=entry.place)
    _check_name(reader, entry)
    external_id = reader.text("external_id")
    if external_id is not None:
        try:
            check_reference(external_id)
        except ValueError as error:
            reader.complain("external_id", str(error))
    reader.required("arn")
    reader.required("serves")
    serves = reader.placed_texts("serves")
    if not serves and reader.node("serves") is not None:
        reader.complain("serves", "must name at least one resource")
    for pattern, place in serves:
        what = _why_not_served(pattern)
        if what:
            reader.problems.add(place, f"`{reader.path('serves')}`: {shown(pattern)} {what}")
    return RoleSettings(
        name=entry.key,
        arn=_matching(reader, "arn", _ROLE_ARN, "`arn:aws:iam::111122223333:role/NAME`"),
        external_id=external_id,
        serves=tuple(pattern for pattern, _ in serves),
        max_ttl=reader.duration("max_ttl", minimum=_SHORTEST, maximum=_LONGEST) or _LONGEST,
    )


def _why_not_served(pattern: str) -> str:
    if pattern.startswith("arn:aws:dynamodb:"):
        return _why_no_table(pattern)
    match = _SERVES.fullmatch(pattern)
    if match is None:
        if re.match(r"arn:aws[a-z-]*:(?!s3:)[a-z0-9-]+:", pattern):
            return "is no ARN of S3 or DynamoDB; other services are not available in this version"
        return "must be `arn:aws:s3:::BUCKET`, `arn:aws:s3:::BUCKET/*` or `arn:aws:s3:::BUCKET/PREFIX/*`"
    try:
        check_bucket(match[1])
    except ValueError as error:
        return str(error)
    return ""


def _why_no_table(pattern: str) -> str:
    try:
        target = parse_target(pattern)
    except ValueError as error:
        return str(error)
    return "" if target.index is None else "is an index; name its table, with which all of its indexes are served"


def _check_overlaps(reader: MapReader, entries: tuple[Entry, ...], roles: tuple[RoleSettings, ...]) -> None:
    """Refuse two roles for one ARN: which one is assumed must not be a matter of order."""
    taken: list[tuple[str, str, str]] = []
    for entry, role in zip(entries, roles, strict=True):
        own = [(match[1], match[2] or "") for text in role.serves if (match := _SERVES.fullmatch(text))]
        for bucket, prefix in own:
            for other_bucket, other_prefix, other in taken:
                if bucket == other_bucket and (prefix.startswith(other_prefix) or other_prefix.startswith(prefix)):
                    what = (
                        f"serves what {shown(other)} serves too, in the bucket {shown(bucket)}; one role serves one ARN"
                    )
                    reader.problems.add(entry.place, f"`{reader.path('roles')}.{entry.key}` {what}")
        taken.extend((bucket, prefix, role.name) for bucket, prefix in own)


def _read_redshift(parent: MapReader, entry: Entry) -> RedshiftSettings:
    reader = MapReader(
        entry.node,
        parent.problems,
        name=f"{parent.path('redshift')}.{entry.key}",
        known=("kind", "cluster_identifier", "region", "database", "host", "port", "identity", "user_prefix"),
        unavailable=("enforcement", "workgroup", "auto_create"),
        place=entry.place,
    )
    _check_name(reader, entry)
    for key in ("cluster_identifier", "region", "database", "host"):
        reader.required(key)
    reader.choice("kind", _Kind, unavailable=("serverless",))
    cluster = _matching(reader, "cluster_identifier", _CLUSTER, "lower-case letters, digits and single hyphens")
    if len(cluster) > _MAX_CLUSTER:
        reader.complain("cluster_identifier", f"has more than {_MAX_CLUSTER} characters")
    return RedshiftSettings(
        name=entry.key,
        cluster_identifier=cluster,
        region=_matching(reader, "region", _REGION, "`eu-west-1`"),
        database=_matching(
            reader, "database", _DATABASE, "a lower-case name of at most 64 letters, digits, `_` or `$`"
        ),
        host=_matching(reader, "host", _HOST, "a host name without scheme and port"),
        port=reader.integer("port", minimum=1, maximum=65535) or _DEFAULT_PORT,
        identity=reader.choice("identity", DatabaseUserStyle, unavailable=("lease",)) or DatabaseUserStyle.USERNAME,
        # SECURITY: a prefix keeps every name that we ask for apart from the administrators' own.
        user_prefix=_matching(
            reader, "user_prefix", _USER_PREFIX, "`pk_`: a lower-case letter, then letters, digits, `_`"
        )
        or "pk_",
    )


def _check_name(reader: MapReader, entry: Entry) -> None:
    if _NAME.fullmatch(entry.key) is None:
        what = "is no name: a letter, then up to 62 letters, digits, `_` or `-`"
        reader.problems.add(entry.place, f"{shown(entry.key)} {what}")


def _matching(reader: MapReader, key: str, form: re.Pattern[str], example: str) -> str:
    text = reader.text(key)
    if text and form.fullmatch(text) is None:
        reader.complain(key, f"{shown(text)} has not the form {example}")
    return text or ""
