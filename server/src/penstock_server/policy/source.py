"""A policy as its files state it: parsed and cross-checked, not yet bound to tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from penstock_server.config.document import Place
from penstock_server.model.decision import PolicyVersion
from penstock_server.model.dynamodb import DynamoDbPermission, DynamoDbTarget
from penstock_server.model.posture import Requirement
from penstock_server.model.principal import KnownIssuers, Principal, PrincipalSelector, selects
from penstock_server.model.resource import S3Permission, TablePermission
from penstock_server.model.services import ServicePermission, ServiceTarget
from penstock_server.policy.conditions.block import Block
from penstock_server.policy.filters.nodes import FilterNode
from penstock_server.policy.items.templates import KeyTemplate
from penstock_server.policy.masks.declared import MaskSource
from penstock_server.policy.reading.fields import Text
from penstock_server.policy.rules.csv_text import RulesTable
from penstock_server.policy.rules.form import RulesFormat
from penstock_server.policy.s3_arns import S3Pattern
from penstock_server.policy.services.reading import LimitTemplate
from penstock_server.policy.table_patterns import TablePattern
from penstock_server.policy.tags.lf_tags import TagAssignment, TagExpression


class ColumnMode(Enum):
    """How a column list is meant."""

    INCLUDE = "include"
    EXCLUDE = "exclude"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnList:
    """`columns: {include: [...]}` or `{exclude: [...]}`; never empty."""

    mode: ColumnMode
    names: tuple[Text, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsSource:
    """A parsed row filter; `place` is that of its text."""

    node: FilterNode
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class CellsSource:
    """Columns and rows together: a data cells filter, or what stands in a grant itself. None = all."""

    columns: ColumnList | None
    rows: RowsSource | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterSource:
    """A named data cells filter of one table."""

    name: str
    place: Place
    resource: TablePattern
    resource_place: Place
    cells: CellsSource


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskUse:
    """`masks: {column: mask}`: one pair."""

    column: Text
    mask: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class TableGrant:
    """A grant on tables. `filters` names data cells filters; where there are any, `cells` restricts nothing."""

    name: str
    place: Place
    principals: tuple[PrincipalSelector, ...]
    resource: TablePattern
    resource_place: Place
    permissions: frozenset[TablePermission]
    cells: CellsSource
    filters: tuple[Text, ...]
    masks: tuple[MaskUse, ...]
    expires: datetime | None
    conditions: Block | None
    requires: frozenset[Requirement]


@dataclass(frozen=True, slots=True, kw_only=True)
class TagGrant:
    """A grant on whatever has matching tags."""

    name: str
    place: Place
    principals: tuple[PrincipalSelector, ...]
    expression: TagExpression
    permissions: frozenset[TablePermission]
    expires: datetime | None
    conditions: Block | None
    requires: frozenset[Requirement]


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Grant:
    """A grant on S3 objects."""

    name: str
    place: Place
    principals: tuple[PrincipalSelector, ...]
    pattern: S3Pattern
    permissions: frozenset[S3Permission]
    max_ttl: timedelta | None
    expires: datetime | None
    conditions: Block | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedshiftGrant:
    """A grant of a Redshift login."""

    name: str
    place: Place
    principals: tuple[PrincipalSelector, ...]
    login: Text
    database_groups: tuple[str, ...]
    max_ttl: timedelta | None
    expires: datetime | None
    conditions: Block | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamoDbGrant:
    """A grant on the items of one table or index of DynamoDB.

    `leading_keys` restricts the values of its partition key, `attributes` the names that may be read; None = all.
    INVARIANT: with WRITE goes READ and no `attributes`, and an index has no WRITE.
    """

    name: str
    place: Place
    principals: tuple[PrincipalSelector, ...]
    target: DynamoDbTarget
    permissions: frozenset[DynamoDbPermission]
    leading_keys: tuple[KeyTemplate, ...] | None
    attributes: tuple[str, ...] | None
    max_ttl: timedelta | None
    expires: datetime | None
    conditions: Block | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceGrant:
    """A grant on one resource of an AWS service that is named whole; `limits` by name."""

    name: str
    place: Place
    principals: tuple[PrincipalSelector, ...]
    target: ServiceTarget
    permissions: frozenset[ServicePermission]
    limits: tuple[LimitTemplate, ...]
    max_ttl: timedelta | None
    expires: datetime | None
    conditions: Block | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesQuery:
    """A query whose result is a rules dataset: one statement that reads tables of one catalog.

    It is asked anew every `refresh`; what it gave counts for `max_staleness` from the moment at which it was asked.
    """

    place: Place
    sql: str
    catalog: str
    refresh: timedelta
    max_staleness: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRulesSource:
    """A rules dataset of one table.

    `denies` where those whom it names see all but the rows that it describes. `table` is None where it comes from a
    `query` that has not been answered. `result_digest` stands for what the query gave, `fresh_until` is the instant
    from which it does not count any more; both None where the dataset is a file.
    """

    name: str
    place: Place
    resource: TablePattern
    resource_place: Place
    denies: bool
    form: RulesFormat
    table: RulesTable | None
    query: RulesQuery | None
    result_digest: bytes | None
    fresh_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRuleSource:
    """Columns of one table that only these principals see, and those of other rules on them."""

    resource: TablePattern
    resource_place: Place
    columns: tuple[Text, ...]
    principals: tuple[PrincipalSelector, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spared:
    """Whom a denial spares; it holds for everybody else, also for those of whom little is known."""

    selectors: frozenset[PrincipalSelector]

    def holds_for(self, principal: Principal) -> bool:
        """Tell whether the denial reaches a principal."""
        return not any(selects(selector, principal) for selector in self.selectors)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDenial:
    """A denial on tables."""

    resource: TablePattern
    resource_place: Place
    permissions: frozenset[TablePermission]
    spared: Spared


@dataclass(frozen=True, slots=True, kw_only=True)
class TagDenial:
    """A denial on whatever has matching tags."""

    expression: TagExpression
    permissions: frozenset[TablePermission]
    spared: Spared


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Denial:
    """A denial on S3 objects."""

    pattern: S3Pattern
    permissions: frozenset[S3Permission]
    spared: Spared


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamoDbDenial:
    """A denial on a table of DynamoDB with all of its indexes, or on one index."""

    target: DynamoDbTarget
    permissions: frozenset[DynamoDbPermission]
    spared: Spared

    def takes(self, target: DynamoDbTarget) -> frozenset[DynamoDbPermission]:
        """Give what it takes away on a target. Who may not read may not write: a write can return the item."""
        if not target.lies_in(self.target):
            return frozenset()
        reads = DynamoDbPermission.READ in self.permissions
        return self.permissions | {DynamoDbPermission.WRITE} if reads else self.permissions


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDenial:
    """A denial on one resource of an AWS service, with the consumers of a stream and the tables of a database."""

    target: ServiceTarget
    permissions: frozenset[ServicePermission]
    spared: Spared

    def takes(self, target: ServiceTarget) -> frozenset[ServicePermission]:
        """Give what it takes away on a target."""
        return self.permissions if target.lies_in(self.target) else frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class RedshiftDenial:
    """A denial of a Redshift login."""

    login: Text
    spared: Spared


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySource:
    """All policy files together. INVARIANT: names are unique in their kind, and every name that is used exists."""

    version: PolicyVersion
    issuers: KnownIssuers
    masks: tuple[MaskSource, ...]
    filters: tuple[FilterSource, ...]
    table_grants: tuple[TableGrant, ...]
    s3_grants: tuple[S3Grant, ...]
    redshift_grants: tuple[RedshiftGrant, ...]
    row_rules: tuple[RowRulesSource, ...]
    column_rules: tuple[ColumnRuleSource, ...]
    table_denials: tuple[TableDenial, ...]
    s3_denials: tuple[S3Denial, ...]
    redshift_denials: tuple[RedshiftDenial, ...]
    tags: tuple[TagAssignment, ...]
    tag_grants: tuple[TagGrant, ...]
    tag_denials: tuple[TagDenial, ...]
    dynamodb_grants: tuple[DynamoDbGrant, ...] = ()
    dynamodb_denials: tuple[DynamoDbDenial, ...] = ()
    service_grants: tuple[ServiceGrant, ...] = ()
    service_denials: tuple[ServiceDenial, ...] = ()
