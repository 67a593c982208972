"""Which types and fields of a bound policy the proof has a reading of.

SECURITY: whatever decides and is not read would make a false proof. So every value that is read must be of a type, and
with the fields, that `_KNOWN` lists; anything else is `NotUnderstood`, and what it belongs to is undecided. Whoever
adds a field or a kind to the model adds its meaning to `reading` or `reading_tests`, and then its name here
(test_a_field_that_the_proof_does_not_know_is_never_same).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from penstock_server.model.decision import Mask
from penstock_server.model.predicate import (
    AllTrue,
    Always,
    And,
    AnyTrue,
    Between,
    Compare,
    In,
    IsNull,
    Like,
    Never,
    Not,
    Or,
)
from penstock_server.model.principal import EveryoneOf, Group, UserByName, UserBySubject
from penstock_server.model.schema import Column, ColumnType, TableSchema
from penstock_server.policy.bound import (
    BoundColumnDenial,
    BoundDenial,
    BoundFilter,
    BoundGrant,
    BoundPolicy,
    BoundRowRules,
    BoundTable,
)
from penstock_server.policy.conditions.block import Block
from penstock_server.policy.filters.nodes import UserAttribute, UserGroups, UserName, UserSubject
from penstock_server.policy.filters.row_tests import AndTest, CompareWithCaller, Fixed, InCallersValues, NotTest, OrTest
from penstock_server.policy.s3_arns import S3Pattern
from penstock_server.policy.source import (
    DynamoDbDenial,
    DynamoDbGrant,
    RedshiftDenial,
    RedshiftGrant,
    S3Denial,
    S3Grant,
    ServiceDenial,
    ServiceGrant,
    Spared,
)

_POLICY: Final = (
    *("version", "snapshot", "default_issuer", "tables", "table_names"),
    *("grants", "scopes", "s3_grants", "redshift_grants", "s3_denials", "redshift_denials"),
    *("dynamodb_grants", "dynamodb_denials", "service_grants", "service_denials"),
)
_CREDENTIAL: Final = ("name", "place", "principals", "max_ttl", "expires", "conditions")
_KNOWN: Final[Mapping[type, frozenset[str]]] = {
    kind: frozenset(names)
    for kind, names in (
        (BoundPolicy, _POLICY),
        (BoundTable, ("schema", "encoded_schema", "row_rules", "column_rules", "denials", "column_denials")),
        (BoundColumnDenial, ("columns", "spared")),
        (BoundDenial, ("permissions", "spared")),
        (Spared, ("selectors",)),
        (S3Denial, ("pattern", "permissions", "spared")),
        (RedshiftDenial, ("login", "spared")),
        (Block, ("conditions",)),
        # Tags decide nothing any more: what matched stands in the filters.
        (BoundGrant, ("name", "permissions", "filters", "expires", "conditions", "tags")),
        # `excluding` decides nothing: what it means for later columns is told by binding to tables that have one more.
        (BoundFilter, ("columns", "rows", "masks", "excluding")),
        (BoundRowRules, ("name", "columns", "rules", "denies", "fresh_until")),
        (TableSchema, ("name", "columns", "location")),
        (Column, ("name", "type")),
        (ColumnType, ("sql", "family", "fields")),
        (S3Grant, (*_CREDENTIAL, "pattern", "permissions")),
        (S3Pattern, ("text", "bucket", "key")),
        (DynamoDbGrant, (*_CREDENTIAL, "target", "permissions", "leading_keys", "attributes")),
        (DynamoDbDenial, ("target", "permissions", "spared")),
        (ServiceGrant, (*_CREDENTIAL, "target", "permissions", "limits")),
        (ServiceDenial, ("target", "permissions", "spared")),
        (RedshiftGrant, (*_CREDENTIAL, "login", "database_groups")),
        (Mask, ("name", "rank", "type", "form")),
        (UserByName, ("issuer", "username")),
        (UserBySubject, ("issuer", "subject")),
        (Group, ("issuer", "name")),
        (EveryoneOf, ("issuer",)),
        (Fixed, ("predicate",)),
        (CompareWithCaller, ("column", "op", "value")),
        (InCallersValues, ("column", "value")),
        (NotTest, ("operand",)),
        (AndTest, ("operands",)),
        (OrTest, ("operands",)),
        (UserName, ("position",)),
        (UserGroups, ("position",)),
        (UserSubject, ("position",)),
        (UserAttribute, ("name", "position")),
        (Always, ()),
        (Never, ()),
        (Compare, ("column", "op", "value")),
        (Between, ("column", "low", "high")),
        (In, ("column", "values")),
        (Like, ("column", "pattern")),
        (IsNull, ("column",)),
        (Not, ("operand",)),
        (And, ("operands",)),
        (Or, ("operands",)),
        (AnyTrue, ("operands",)),
        (AllTrue, ("operands",)),
    )
}
"""The fields of each type whose meaning is read."""

_ONLY_EMPTY: Final[Mapping[type, frozenset[str]]] = {}
"""Further fields that mean nothing where they are None or empty, and are not understood otherwise."""


class NotUnderstood(Exception):
    """Something decides that the proof has no reading of; the text says what, for the reason of `Undecided`."""


def require_known(*values: object) -> None:
    """Refuse values of a type, or with a field, that is not understood.

    Raises:
        NotUnderstood: there is one.
    """
    for value in values:
        unknown = unknown_fields(value)
        if unknown:
            raise NotUnderstood(f"the proof has no reading of `{type(value).__name__}.{unknown[0]}`")


def unknown_fields(value: object) -> tuple[str, ...]:
    """Give the fields of a value that are not understood.

    Raises:
        NotUnderstood: its type is not.
    """
    kind = type(value)
    known = _KNOWN.get(kind)
    if known is None or not dataclasses.is_dataclass(kind):
        raise NotUnderstood(f"the proof has no reading of `{kind.__name__}`")
    if kind.__dataclass_fields__.keys() <= known:
        return ()
    only_empty = _ONLY_EMPTY.get(kind, frozenset())
    return tuple(
        field.name
        for field in dataclasses.fields(kind)
        if field.name not in known and not (field.name in only_empty and _is_empty(getattr(value, field.name)))
    )


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, tuple | frozenset | Mapping) and not value)
