"""Reads the grants of a policy file: on tables, on S3 objects, of Redshift logins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from penstock_server.config.document import MapNode, Node
from penstock_server.model.dynamodb import DynamoDbPermission, parse_target
from penstock_server.model.principal import KnownIssuers, PrincipalSelector
from penstock_server.model.redshift_names import MAX_GROUP_CHARS, is_database_group
from penstock_server.model.resource import S3Permission, TablePermission
from penstock_server.model.services import ServicePermission, parse_service_target, service_of
from penstock_server.policy.conditions.block import Block
from penstock_server.policy.conditions.posture import requiring
from penstock_server.policy.items.reading import read_items
from penstock_server.policy.problems import Problems
from penstock_server.policy.reading.cells import parse_name, read_cells, read_mask_uses
from penstock_server.policy.reading.condition_blocks import read_conditions
from penstock_server.policy.reading.fields import Fields, Keys, Text
from penstock_server.policy.reading.permission_lists import RedshiftPermission, read_permissions
from penstock_server.policy.reading.principal_lists import read_principals
from penstock_server.policy.requirements import read_requirements
from penstock_server.policy.s3_arns import parse_granted_arn
from penstock_server.policy.services.reading import read_limits
from penstock_server.policy.source import DynamoDbGrant, RedshiftGrant, S3Grant, ServiceGrant, TableGrant, TagGrant
from penstock_server.policy.table_patterns import parse_table_pattern
from penstock_server.policy.tags.grants import read_tag_grant
from penstock_server.policy.tags.reading import TagReader

MIN_TTL: Final = timedelta(minutes=15)
"""Shortest life of an AWS credential. AWS: STS AssumeRole, DurationSeconds."""
MAX_S3_TTL: Final = timedelta(hours=12)
"""Longest life of an AWS session. AWS: STS AssumeRole, DurationSeconds."""
MAX_REDSHIFT_TTL: Final = timedelta(hours=1)
"""Longest life of a Redshift login. AWS: Redshift GetClusterCredentials, DurationSeconds."""

_COMMON: Final = frozenset({"name", "principals", "resource", "permissions", "expires", "conditions"})
_CELL_KEYS: Final = frozenset({"columns", "rows", "filter", "filters", "masks"})
_ITEMS: Final = (frozenset({"items"}), "it goes with a table or an index of DynamoDB")
_CREDENTIALS_ONLY: Final = "it goes with an ARN or a Redshift login"
_TABLES_ONLY: Final = "it goes with a table; files and logins cannot be filtered"

_TABLE_KEYS: Final = Keys(
    what="a grant on tables",
    known=_COMMON | _CELL_KEYS | {"requires"},
    unavailable=frozenset(),
    elsewhere=(
        (frozenset({"max_ttl"}), _CREDENTIALS_ONLY),
        (frozenset({"database_groups"}), "it goes with a login"),
        _ITEMS,
    ),
)
_S3_KEYS: Final = Keys(
    what="a grant on S3 objects",
    known=_COMMON | {"max_ttl", "requires"},
    unavailable=frozenset(),
    elsewhere=((_CELL_KEYS, _TABLES_ONLY), (frozenset({"database_groups"}), "it goes with a Redshift login"), _ITEMS),
)
_REDSHIFT_KEYS: Final = Keys(
    what="a grant of a Redshift login",
    known=_COMMON | {"max_ttl", "database_groups"},
    unavailable=frozenset(),
    elsewhere=((_CELL_KEYS, _TABLES_ONLY), (frozenset({"requires"}), "it goes with a table or an ARN"), _ITEMS),
)
_DYNAMODB: Final = "arn:aws:dynamodb:"
_DYNAMODB_KEYS: Final = Keys(
    what="a grant on items of DynamoDB",
    known=_COMMON | {"max_ttl", "items"},
    unavailable=frozenset({"requires"}),
    elsewhere=(
        (_CELL_KEYS, "it goes with a table of a catalog; write `items`"),
        (frozenset({"database_groups"}), "it goes with a Redshift login"),
    ),
)
_SERVICE_KEYS: Final = Keys(
    what="a grant on a resource of an AWS service",
    known=_COMMON | {"max_ttl", "kms", "statements"},
    unavailable=frozenset({"requires"}),
    elsewhere=((_CELL_KEYS, _TABLES_ONLY), (frozenset({"database_groups"}), "it goes with a Redshift login"), _ITEMS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """What every grant has."""

    name: str
    principals: tuple[PrincipalSelector, ...]
    resource: Text
    expires: datetime | None
    conditions: Block | None


def read_grant(
    node: Node, issuers: KnownIssuers, tags: TagReader, problems: Problems
) -> TableGrant | TagGrant | S3Grant | DynamoDbGrant | ServiceGrant | RedshiftGrant | None:
    """Read one entry under `grants`; None where it is wrong."""
    if not isinstance(node, MapNode):
        problems.add(node.place, "a grant must hold keys with values, beginning with `name`")
        return None
    if node.entry("tag_expression") is not None:
        return read_tag_grant(node, issuers, tags, problems)
    before = len(problems)
    kind = _kind(node)
    fields = Fields(node, kind, problems)
    head = _head(fields, issuers, problems)
    grant: TableGrant | S3Grant | DynamoDbGrant | ServiceGrant | RedshiftGrant | None
    if kind is _S3_KEYS:
        grant = _s3(head, fields, problems)
    elif kind is _DYNAMODB_KEYS:
        grant = _dynamodb(head, fields, problems)
    elif kind is _SERVICE_KEYS:
        grant = _service(head, fields, problems)
    elif kind is _REDSHIFT_KEYS:
        grant = _redshift(head, fields, problems)
    else:
        grant = _table(head, fields, problems)
    return grant if len(problems) == before else None


def _kind(node: MapNode) -> Keys:
    resource = node.node("resource")
    text = getattr(resource, "text", "")
    if text.startswith(_DYNAMODB):
        return _DYNAMODB_KEYS
    if service_of(text) is not None:
        return _SERVICE_KEYS
    if text.startswith("arn:"):
        return _S3_KEYS
    return _REDSHIFT_KEYS if text.startswith("redshift:") else _TABLE_KEYS


def _head(fields: Fields, issuers: KnownIssuers, problems: Problems) -> _Head | None:
    name = fields.parsed("name", parse_name)
    principals = read_principals(fields, "principals", issuers, problems)
    resource = fields.text("resource")
    expires = fields.instant("expires") if fields.has("expires") else None
    conditions = read_conditions(fields, problems)
    if name is None or principals is None or resource is None or (expires is None and fields.has("expires")):
        return None
    return _Head(name=name, principals=principals, resource=resource, expires=expires, conditions=conditions)


def _table(head: _Head | None, fields: Fields, problems: Problems) -> TableGrant | None:
    pattern = fields.parsed("resource", parse_table_pattern)
    permissions = read_permissions(fields, TablePermission, problems)
    cells = read_cells(fields, problems)
    filters = _filters(fields, problems)
    masks = read_mask_uses(fields, problems)
    requires = read_requirements(fields, problems)
    if head is None or pattern is None or permissions is None or cells is None or filters is None or masks is None:
        return None
    grant = TableGrant(
        name=head.name,
        place=fields.place,
        principals=head.principals,
        resource=pattern,
        resource_place=head.resource.place,
        permissions=permissions,
        cells=cells,
        filters=filters,
        masks=masks,
        expires=head.expires,
        conditions=head.conditions,
        requires=requires,
    )
    _check_permissions(grant, fields, problems)
    return grant


def _filters(fields: Fields, problems: Problems) -> tuple[Text, ...] | None:
    used = [key for key in ("filter", "filters") if fields.has(key)]
    if not used:
        return ()
    for key in ("rows", "columns", *used[1:]):
        if fields.has(key):
            problems.add(fields.place_of(key), f"`{key}` cannot stand beside `{used[0]}`: the filter says it all")
    if used[0] == "filters":
        return fields.texts("filters")
    one = fields.text("filter")
    return None if one is None else (one,)


def _check_permissions(grant: TableGrant, fields: Fields, problems: Problems) -> None:
    """Refuse restrictions that the permissions could not keep."""
    restricting = [key for key in ("rows", "filter", "filters", "masks", "columns") if fields.has(key)]
    if not restricting:
        return
    place = fields.place_of(restricting[0])
    if TablePermission.RAW in grant.permissions:
        # SECURITY: a file cannot be filtered; such a grant would promise what no door keeps.
        problems.add(place, f"`{restricting[0]}` cannot stand beside RAW: files cannot be filtered; make two grants")
    elif TablePermission.SELECT not in grant.permissions and restricting != ["columns"]:
        problems.add(place, f"`{restricting[0]}` needs the permission SELECT")


def _s3(head: _Head | None, fields: Fields, problems: Problems) -> S3Grant | None:
    pattern = fields.parsed("resource", parse_granted_arn)
    permissions = read_permissions(fields, S3Permission, problems)
    max_ttl = _max_ttl(fields, MAX_S3_TTL, problems)
    requires = read_requirements(fields, problems)
    if head is None or pattern is None or permissions is None:
        return None
    return S3Grant(
        name=head.name,
        place=fields.place,
        principals=head.principals,
        pattern=pattern,
        permissions=permissions,
        max_ttl=max_ttl,
        expires=head.expires,
        conditions=requiring(requires, pattern.bucket, head.conditions),
    )


def _dynamodb(head: _Head | None, fields: Fields, problems: Problems) -> DynamoDbGrant | None:
    target = fields.parsed("resource", parse_target)
    permissions = read_permissions(fields, DynamoDbPermission, problems)
    max_ttl = _max_ttl(fields, MAX_S3_TTL, problems)
    if head is None or target is None or permissions is None:
        return None
    items = read_items(fields, target, permissions, problems)
    if items is None:
        return None
    return DynamoDbGrant(
        name=head.name,
        place=fields.place,
        principals=head.principals,
        target=target,
        permissions=permissions,
        leading_keys=items.leading_keys,
        attributes=items.attributes,
        max_ttl=max_ttl,
        expires=head.expires,
        conditions=head.conditions,
    )


def _service(head: _Head | None, fields: Fields, problems: Problems) -> ServiceGrant | None:
    target = fields.parsed("resource", parse_service_target)
    permissions = read_permissions(fields, ServicePermission, problems)
    max_ttl = _max_ttl(fields, MAX_S3_TTL, problems)
    if head is None or target is None or permissions is None:
        return None
    limits = read_limits(fields, target, permissions, problems)
    if limits is None:
        return None
    return ServiceGrant(
        name=head.name,
        place=fields.place,
        principals=head.principals,
        target=target,
        permissions=permissions,
        limits=limits,
        max_ttl=max_ttl,
        expires=head.expires,
        conditions=head.conditions,
    )


def _redshift(head: _Head | None, fields: Fields, problems: Problems) -> RedshiftGrant | None:
    read_permissions(fields, RedshiftPermission, problems)
    groups = _database_groups(fields, problems)
    max_ttl = _max_ttl(fields, MAX_REDSHIFT_TTL, problems)
    if head is None:
        return None
    login = Text(value=head.resource.value.removeprefix("redshift:"), place=head.resource.place)
    return RedshiftGrant(
        name=head.name,
        place=fields.place,
        principals=head.principals,
        login=login,
        database_groups=groups,
        max_ttl=max_ttl,
        expires=head.expires,
        conditions=head.conditions,
    )


def _database_groups(fields: Fields, problems: Problems) -> tuple[str, ...]:
    texts = fields.texts("database_groups") if fields.has("database_groups") else None
    for text in texts or ():
        # The door holds each name against the same rule once more.
        if not is_database_group(text.value):
            problems.add(
                text.place,
                f"`{text.value}` is no database group; write a letter and up to {MAX_GROUP_CHARS - 1} of a-z, 0-9, "
                "`_`, `+`, `.`, `@`, `-`, and no reserved word of Redshift",
            )
    return tuple(text.value for text in texts or ())


def _max_ttl(fields: Fields, highest: timedelta, problems: Problems) -> timedelta | None:
    if not fields.has("max_ttl"):
        return None
    ttl = fields.duration("max_ttl")
    if ttl is not None and not MIN_TTL <= ttl <= highest:
        hours = int(highest / timedelta(hours=1))
        problems.add(fields.place_of("max_ttl"), f"`max_ttl` is at least 15m and at most {hours}h: AWS takes no other")
    return ttl
