"""Resources of AWS services that are granted by their whole name: streams, keys, workgroups, clusters, metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from penstock_server.model.decision import Access, PolicyVersion

_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+){1,2}-[0-9]{1,2}", re.ASCII)
_ACCOUNT: Final = re.compile(r"[0-9]{12}", re.ASCII)


class Service(StrEnum):
    """An AWS service whose resources have no prefixes; the value names it for people."""

    KINESIS = "Kinesis"
    KMS = "KMS"
    REDSHIFT_DATA = "the Redshift Data API"
    ATHENA = "Athena"
    GLUE = "Glue"


class ServicePermission(StrEnum):
    """What a grant may give of such a resource; `PERMISSIONS` says which of which service."""

    READ = "READ"
    WRITE = "WRITE"
    DECRYPT = "DECRYPT"
    ENCRYPT = "ENCRYPT"
    QUERY = "QUERY"
    DESCRIBE = "DESCRIBE"


PERMISSIONS: Final[Mapping[Service, Mapping[Access, ServicePermission]]] = {
    Service.KINESIS: {Access.READ: ServicePermission.READ, Access.WRITE: ServicePermission.WRITE},
    Service.KMS: {Access.READ: ServicePermission.DECRYPT, Access.WRITE: ServicePermission.ENCRYPT},
    Service.REDSHIFT_DATA: {Access.READ: ServicePermission.QUERY},
    Service.ATHENA: {Access.READ: ServicePermission.QUERY},
    Service.GLUE: {Access.READ: ServicePermission.DESCRIBE},
}
"""The permissions of each service, by the access that asks for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How the ARNs of a service look: `resources` are full patterns of what follows the account."""

    service: Service
    shape: str
    resources: tuple[re.Pattern[str], ...]


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.ASCII)


# Sources: service authorization reference, resource types of each service; API references for the names.
_FORMS: Final[Mapping[str, _Form]] = {
    "kinesis": _Form(
        service=Service.KINESIS,
        shape="stream/NAME` or `stream/NAME/consumer/NAME:TIME",
        resources=(_pattern(r"stream/[A-Za-z0-9_.-]{1,128}(/consumer/[A-Za-z0-9_.-]{1,128}:[0-9]{1,16})?"),),
    ),
    "kms": _Form(
        service=Service.KMS,
        shape="key/ID",
        resources=(_pattern(r"key/(mrk-[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"),),
    ),
    "redshift": _Form(
        service=Service.REDSHIFT_DATA,
        shape="cluster:NAME",
        resources=(_pattern(r"cluster:[a-z](-?[a-z0-9]){0,62}"),),
    ),
    "athena": _Form(
        service=Service.ATHENA, shape="workgroup/NAME", resources=(_pattern(r"workgroup/[A-Za-z0-9_.-]{1,128}"),)
    ),
    "glue": _Form(
        service=Service.GLUE,
        shape="database/NAME` or `table/DATABASE/NAME",
        resources=(_pattern(r"database/[a-z0-9_-]{1,255}"), _pattern(r"table/[a-z0-9_-]{1,255}/[a-z0-9_-]{1,255}")),
    ),
}
_NAMESPACES: Final = {form.service: namespace for namespace, form in _FORMS.items()}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ServiceTarget:
    """One resource; `name` is what follows the account in its ARN. Names compare exactly."""

    service: Service
    region: str
    account: str
    name: str

    def __str__(self) -> str:
        return f"arn:aws:{_NAMESPACES[self.service]}:{self.region}:{self.account}:{self.name}"

    def lies_in(self, other: ServiceTarget) -> bool:
        """Tell whether this is the other one, a consumer of that stream, or a table of that database."""
        if (self.service, self.region, self.account) != (other.service, other.region, other.account):
            return False
        if self.name == other.name:
            return True
        if self.service is Service.KINESIS:
            return self.name.startswith(f"{other.name}/consumer/")
        return self.service is Service.GLUE and self.name.startswith(f"{other.name.replace('database/', 'table/')}/")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Limit:
    """What a request must say for a scope to hold it: `name` as in a grant, and the values that it may have, sorted.

    `context:NAME` is an entry of the encryption context of KMS.
    """

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceScope:
    """One permission on one resource; `limits` by name, all of which hold."""

    target: ServiceTarget
    permission: ServicePermission
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDecision:
    """AWS credentials are allowed for these scopes; no two are of one target and one permission.

    `max_ttl` is the smallest bound that a used grant states, or None. `expires_at` bounds the credentials too.
    """

    scopes: tuple[ServiceScope, ...]
    grants: tuple[str, ...]
    max_ttl: timedelta | None
    expires_at: datetime | None
    policy_version: PolicyVersion


def service_of(arn: str) -> Service | None:
    """Give the service of an ARN, None where it is none of these; the rest of it is not looked at."""
    parts = arn.split(":", 3)
    form = _FORMS.get(parts[2]) if len(parts) == 4 and parts[:2] == ["arn", "aws"] else None
    return None if form is None else form.service


def parse_service_target(text: str) -> ServiceTarget:
    """Read an ARN: nothing is decoded or folded, and there are no wildcards.

    Raises:
        ValueError: it is none; the text goes well after the ARN in backticks.
    """
    parts = text.split(":", 5)
    form = _FORMS.get(parts[2]) if len(parts) == 6 and parts[:2] == ["arn", "aws"] else None
    if form is None:
        raise ValueError("is no ARN of a service that is available here")
    if any(character in text for character in "*?$"):
        raise ValueError("has a wildcard; name each resource")
    _, _, namespace, region, account, name = parts
    if _REGION.fullmatch(region) is None:
        raise ValueError("names no region, such as `eu-west-1`")
    if _ACCOUNT.fullmatch(account) is None:
        raise ValueError("names no account of twelve digits")
    if not any(pattern.fullmatch(name) for pattern in form.resources):
        raise ValueError(f"must be `arn:aws:{namespace}:REGION:ACCOUNT:{form.shape}`")
    return ServiceTarget(service=form.service, region=region, account=account, name=name)
