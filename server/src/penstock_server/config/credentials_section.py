"""The section `credentials`: AWS roles and Redshift clusters."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from penstock_server.config.addresses import check_bucket, check_url, parse_location
from penstock_server.config.document import Entry
from penstock_server.config.named_entries import REGION, ROLE_ARN, check_name, matching
from penstock_server.config.reading import MapReader, shown
from penstock_server.config.redshift_section import read_redshift
from penstock_server.config.secrets import check_reference
from penstock_server.config.settings import (
    AwsSettings,
    CredentialSettings,
    LifetimeRule,
    RevocationSettings,
    RoleSettings,
)
from penstock_server.config.spark_section import read_spark
from penstock_server.model.dynamodb import parse_target
from penstock_server.model.resource import S3Location
from penstock_server.model.services import parse_service_target, service_of

# AWS: a session is between 15 minutes and, where one role assumes another as here, 1 hour (STS API, AssumeRole).
_SHORTEST: Final = timedelta(minutes=15)
_LONGEST: Final = timedelta(hours=1)

_POLICY_ARN: Final = re.compile(r"arn:aws(-[a-z]+)*:iam::[0-9]{12}:policy/[\w+=,.@/-]{1,512}", re.ASCII)
_ACCEPTS: Final = re.compile(
    r"\*|arn:aws:(s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
    r"|dynamodb:[a-z0-9-]+:[0-9]{12}:table/[A-Za-z0-9_.-]{3,255}"
    r"|kinesis:[a-z0-9-]+:[0-9]{12}:stream/[A-Za-z0-9_.-]+(/consumer/[A-Za-z0-9_.:-]+)?"
    r"|kms:[a-z0-9-]+:[0-9]{12}:key/[a-z0-9-]+)",
    re.ASCII,
)
_ACCOUNT: Final = re.compile(r"[0-9]{12}", re.ASCII)
_SERVES: Final = re.compile(r"arn:aws(?:-[a-z]+)*:s3:::([^/*?$]+)(?:/((?:[^*?$]*/)?)\*)?", re.ASCII)


def read_credentials(reader: MapReader) -> CredentialSettings:
    """Read the section. Problems go to the reader's collection."""
    aws = reader.map("aws", known=("region", "endpoint_url", "broker_role", "roles", "revocation"))
    redshift = read_redshift(reader)
    if redshift and aws is None:
        reader.complain("redshift", "needs `credentials.aws`: logins are asked for there")
    lifetime = reader.choice("lifetime", LifetimeRule) or LifetimeRule.TOKEN
    read_aws = _read_aws(aws) if aws is not None else None
    # SECURITY: a credential may outlive its token only where it can be taken back.
    if lifetime is LifetimeRule.FIXED and (read_aws is None or read_aws.revocation is None):
        reader.complain("lifetime", "`fixed` needs `credentials.aws.revocation`: such credentials must be revocable")
    return CredentialSettings(
        lifetime=lifetime,
        protected_locations=_locations(reader),
        accepted_resource_grants=_accepted(reader),
        aws=read_aws,
        redshift=redshift,
        spark=read_spark(reader, () if read_aws is None else read_aws.roles),
    )


def _locations(reader: MapReader) -> tuple[S3Location, ...]:
    found = []
    for text, place in reader.placed_texts("protected_locations"):
        try:
            found.append(parse_location(text))
        except ValueError as error:
            reader.problems.add(place, f"`{reader.path('protected_locations')}`: {shown(text)} {error}")
    return tuple(found)


def _accepted(reader: MapReader) -> tuple[str, ...]:
    found = reader.placed_texts("accepted_resource_grants")
    for text, place in found:
        if _ACCEPTS.fullmatch(text) is None:
            what = (
                "must be the ARN of a bucket (`arn:aws:s3:::BUCKET`), of a table of DynamoDB, a stream of Kinesis or a"
                " key of KMS, or `*` alone"
            )
            reader.problems.add(place, f"`{reader.path('accepted_resource_grants')}`: {shown(text)} {what}")
    if len(found) > 1 and any(text == "*" for text, _ in found):
        reader.complain("accepted_resource_grants", "holds `*`, which accepts everything; remove it, or the others")
    return tuple(text for text, _ in found)


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
    revocation = _read_revocation(reader, roles)
    return AwsSettings(
        region=matching(reader, "region", REGION, "`eu-west-1`"),
        endpoint_url=endpoint_url,
        roles=roles,
        revocation=revocation,
        broker_role=_read_broker_role(reader, roles, revocation),
    )


def _read_broker_role(
    reader: MapReader, roles: tuple[RoleSettings, ...], revocation: RevocationSettings | None
) -> str | None:
    arn = matching(reader, "broker_role", ROLE_ARN, "`arn:aws:iam::111122223333:role/NAME`") or None
    # SECURITY: what issues, what is issued and what revokes are roles apart.
    others = {role.arn for role in roles} | ({revocation.role} if revocation is not None else set())
    if arn in others:
        reader.complain("broker_role", "must be a role of its own, which neither `roles` nor `revocation` names")
    return arn


def _read_revocation(parent: MapReader, roles: tuple[RoleSettings, ...]) -> RevocationSettings | None:
    reader = parent.map("revocation", known=("role", "boundary", "external_id"))
    if reader is None:
        return None
    reader.required("role")
    reader.required("boundary")
    role = matching(reader, "role", ROLE_ARN, "`arn:aws:iam::111122223333:role/NAME`")
    boundary = matching(reader, "boundary", _POLICY_ARN, "`arn:aws:iam::111122223333:policy/NAME`")
    # SECURITY: whoever holds a session of a target role must not be able to write what revokes it.
    if role and any(role == target.arn for target in roles):
        reader.complain("role", "must be a role of its own, which no entry of `roles` names")
    accounts = {target.arn.split(":")[4] for target in roles if target.arn.count(":") >= 5}
    if boundary.count(":") >= 5 and accounts and boundary.split(":")[4] not in accounts:
        reader.complain("boundary", "lies in an account of none of the `roles`: AWS takes boundaries of the role's own")
    return RevocationSettings(role=role, boundary=boundary, external_id=_read_external_id(reader))


def _read_external_id(reader: MapReader) -> str | None:
    reference = reader.text("external_id")
    if reference is not None:
        try:
            check_reference(reference)
        except ValueError as error:
            reader.complain("external_id", str(error))
    return reference


def _read_role(parent: MapReader, entry: Entry) -> RoleSettings:
    name = f"{parent.path('roles')}.{entry.key}"
    known = ("arn", "external_id", "serves", "max_ttl", "bucket_accounts")
    reader = MapReader(entry.node, parent.problems, name=name, known=known, place=entry.place)
    check_name(reader, entry)
    external_id = _read_external_id(reader)
    reader.required("arn")
    reader.required("serves")
    serves = reader.placed_texts("serves")
    for pattern, place in serves:
        what = _why_not_served(pattern)
        if what:
            reader.problems.add(place, f"`{reader.path('serves')}`: {shown(pattern)} {what}")
    return RoleSettings(
        name=entry.key,
        arn=matching(reader, "arn", ROLE_ARN, "`arn:aws:iam::111122223333:role/NAME`"),
        external_id=external_id,
        serves=tuple(pattern for pattern, _ in serves),
        max_ttl=reader.duration("max_ttl", minimum=_SHORTEST, maximum=_LONGEST) or _LONGEST,
        bucket_accounts=_read_owners(reader, tuple(pattern for pattern, _ in serves)),
    )


def _read_owners(reader: MapReader, serves: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    served = {match[1] for pattern in serves if (match := _SERVES.fullmatch(pattern))}
    owners = reader.text_pairs("bucket_accounts")
    for bucket, account in owners:
        if bucket not in served:
            reader.complain("bucket_accounts", f"names {shown(bucket)}, which `serves` does not")
        if _ACCOUNT.fullmatch(account) is None:
            reader.complain("bucket_accounts", f"{shown(account)} is no account: twelve digits, in quotation marks")
    return owners


def _why_not_served(pattern: str) -> str:
    if pattern.startswith("arn:aws:dynamodb:"):
        return _why_no_table(pattern)
    if service_of(pattern) is not None:
        return _why_no_service(pattern)
    match = _SERVES.fullmatch(pattern)
    if match is None:
        if re.match(r"arn:aws[a-z-]*:(?!s3:)[a-z0-9-]+:", pattern):
            return "is no ARN of a service that is available in this version"
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


def _why_no_service(pattern: str) -> str:
    try:
        parse_service_target(pattern)
    except ValueError as error:
        return str(error)
    return ""


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
