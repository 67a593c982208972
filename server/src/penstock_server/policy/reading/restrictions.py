"""Reads what narrows for everybody but those whom it names: `column_rules` and `denials`.

INVARIANT: such an entry names whom it spares. Who is missing from a group, or whose groups an identity provider cut,
may lose access by that and never gain it.
"""

from __future__ import annotations

from typing import Final

from penstock_server.config.document import MapNode, Node
from penstock_server.model.dynamodb import DynamoDbPermission, parse_target
from penstock_server.model.principal import KnownIssuers
from penstock_server.model.resource import S3Permission, TablePermission
from penstock_server.model.services import PERMISSIONS, ServicePermission, parse_service_target, service_of
from penstock_server.policy.problems import Problems
from penstock_server.policy.reading.cells import parse_one_table
from penstock_server.policy.reading.fields import Fields, Keys, Text
from penstock_server.policy.reading.permission_lists import RedshiftPermission, read_permissions
from penstock_server.policy.reading.principal_lists import read_principals
from penstock_server.policy.s3_arns import parse_granted_arn
from penstock_server.policy.source import (
    ColumnRuleSource,
    DynamoDbDenial,
    RedshiftDenial,
    S3Denial,
    ServiceDenial,
    Spared,
    TableDenial,
    TagDenial,
)
from penstock_server.policy.table_patterns import parse_table_pattern
from penstock_server.policy.tags.grants import read_tag_denial
from penstock_server.policy.tags.reading import TagReader

_COLUMN_RULE_KEYS: Final = Keys(
    what="an entry of `column_rules`", known=frozenset({"resource", "columns", "principals"}), unavailable=frozenset()
)
_DENIAL_KEYS: Final = Keys(
    what="an entry of `denials`",
    known=frozenset({"resource", "except_principals", "permissions"}),
    unavailable=frozenset(),
    elsewhere=(
        (frozenset({"principals"}), "a denial holds for everybody but `except_principals`"),
        (frozenset({"conditions", "expires"}), "a denial holds as long as it stands in a file"),
        (frozenset({"columns"}), "it closes the whole table; use `column_rules`"),
    ),
)


def read_column_rule(node: Node, issuers: KnownIssuers, problems: Problems) -> ColumnRuleSource | None:
    """Read one entry under `column_rules`; None where it is wrong."""
    if not isinstance(node, MapNode):
        problems.add(node.place, "an entry of `column_rules` must hold keys with values")
        return None
    fields = Fields(node, _COLUMN_RULE_KEYS, problems)
    resource = fields.parsed("resource", parse_one_table)
    columns = fields.texts("columns")
    principals = read_principals(fields, "principals", issuers, problems)
    if resource is None or columns is None or principals is None:
        return None
    return ColumnRuleSource(
        resource=resource, resource_place=fields.place_of("resource"), columns=columns, principals=principals
    )


def read_denial(
    node: Node, issuers: KnownIssuers, tags: TagReader, problems: Problems
) -> TableDenial | TagDenial | S3Denial | DynamoDbDenial | ServiceDenial | RedshiftDenial | None:
    """Read one entry under `denials`; None where it is wrong."""
    if not isinstance(node, MapNode):
        problems.add(node.place, "an entry of `denials` must hold keys with values")
        return None
    if node.entry("tag_expression") is not None:
        return read_tag_denial(node, issuers, tags, problems)
    fields = Fields(node, _DENIAL_KEYS, problems)
    resource = fields.text("resource")
    spared = _spared(fields, issuers, problems)
    if resource is None:
        return None
    if resource.value.startswith("arn:aws:dynamodb:"):
        return _dynamodb_denial(fields, spared, problems)
    if service_of(resource.value) is not None:
        return _service_denial(fields, spared, problems)
    if resource.value.startswith("arn:"):
        return _s3_denial(fields, spared, problems)
    if resource.value.startswith("redshift:"):
        return _redshift_denial(fields, resource, spared, problems)
    pattern = fields.parsed("resource", parse_table_pattern)
    permissions = read_permissions(fields, TablePermission, problems)
    if pattern is None or permissions is None or spared is None:
        return None
    return TableDenial(resource=pattern, resource_place=resource.place, permissions=permissions, spared=spared)


def _spared(fields: Fields, issuers: KnownIssuers, problems: Problems) -> Spared | None:
    if not fields.has("except_principals"):
        return Spared(selectors=frozenset())
    principals = read_principals(fields, "except_principals", issuers, problems)
    return None if principals is None else Spared(selectors=frozenset(principals))


def _s3_denial(fields: Fields, spared: Spared | None, problems: Problems) -> S3Denial | None:
    pattern = fields.parsed("resource", parse_granted_arn)
    permissions = read_permissions(fields, S3Permission, problems)
    if pattern is None or permissions is None or spared is None:
        return None
    return S3Denial(pattern=pattern, permissions=permissions, spared=spared)


def _dynamodb_denial(fields: Fields, spared: Spared | None, problems: Problems) -> DynamoDbDenial | None:
    target = fields.parsed("resource", parse_target)
    permissions = read_permissions(fields, DynamoDbPermission, problems)
    if target is None or permissions is None or spared is None:
        return None
    return DynamoDbDenial(target=target, permissions=permissions, spared=spared)


def _service_denial(fields: Fields, spared: Spared | None, problems: Problems) -> ServiceDenial | None:
    target = fields.parsed("resource", parse_service_target)
    permissions = read_permissions(fields, ServicePermission, problems)
    if target is None or permissions is None or spared is None:
        return None
    known = PERMISSIONS[target.service].values()
    for permission in sorted(permissions.difference(known)):
        words = ", ".join(each.value for each in known)
        problems.add(
            fields.place_of("permissions"), f"`{permission.value}` is no permission of {target.service}; write {words}"
        )
    return ServiceDenial(target=target, permissions=permissions, spared=spared)


def _redshift_denial(
    fields: Fields, resource: Text, spared: Spared | None, problems: Problems
) -> RedshiftDenial | None:
    permissions = read_permissions(fields, RedshiftPermission, problems)
    if permissions is None or spared is None:
        return None
    login = Text(value=resource.value.removeprefix("redshift:"), place=resource.place)
    return RedshiftDenial(login=login, spared=spared)
