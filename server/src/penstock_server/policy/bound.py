"""A policy bound to the catalogs: what decisions are made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from penstock_server.model.decision import Mask, PolicyVersion
from penstock_server.model.predicate import Constant
from penstock_server.model.principal import EveryoneOf, Principal, PrincipalSelector, UserByName, UserBySubject
from penstock_server.model.resource import TablePermission
from penstock_server.model.schema import CatalogSnapshot, TableSchema
from penstock_server.policy.conditions.block import Block
from penstock_server.policy.filters.row_tests import RowTest
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
from penstock_server.policy.tags.lf_tags import TagExpression

TableKey = tuple[str, str, str]
"""The folded name of a table, as `TableName.key` gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundFilter:
    """Columns and rows that one grant shows together; a data cells filter.

    `columns` are in the catalog's spelling; None = all, those to come too. `masks` are for columns that it shows.
    `excluding` = the policy names the columns that are not shown; it decides nothing until the next bind, explanations
    tell it.
    """

    columns: frozenset[str] | None
    rows: RowTest
    masks: Mapping[str, Mask]
    excluding: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundGrant:
    """A grant on one table, or on every table of a database or catalog without any restriction.

    `tags` is the expression by which it is on the table, for explanations: what it shows stands in its filters.
    """

    name: str
    permissions: frozenset[TablePermission]
    filters: tuple[BoundFilter, ...]
    expires: datetime | None
    conditions: Block | None
    tags: TagExpression | None


Scope = tuple[str, ...]
"""What a grant is on, folded: a catalog, a catalog and a database, or these and a table."""


BoundRule = tuple[frozenset[Constant] | None, ...]
"""One row of a rules dataset: a restriction for each of its columns, None = not restricted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundRowRules:
    """A rules dataset of one table; `columns` are in the catalog's spelling, in the order of each rule.

    `denies` where its rules take rows away instead of giving them. `fresh_until` is the instant from which it shows
    nobody a row, because it could not be refreshed; None = it comes from a file.
    """

    name: str
    columns: tuple[str, ...]
    rules: Mapping[PrincipalSelector, tuple[BoundRule, ...]]
    denies: bool
    fresh_until: datetime | None

    def stale(self, at: datetime) -> bool:
        """Tell whether it does not count any more at an instant."""
        return self.fresh_until is not None and at >= self.fresh_until


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundDenial:
    """A denial that is on one table."""

    permissions: frozenset[TablePermission]
    spared: Spared


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundColumnDenial:
    """Columns of one table, in the catalog's spelling, that only those see whom a denial by tags spares."""

    columns: frozenset[str]
    spared: Spared


_BROUGHT_BY_DENIAL: Final[Mapping[TablePermission, frozenset[TablePermission]]] = {
    # Without DESCRIBE nothing is left; who may not read the rows may not have the files that hold them.
    TablePermission.DESCRIBE: frozenset(TablePermission),
    TablePermission.SELECT: frozenset({TablePermission.SELECT, TablePermission.RAW}),
    TablePermission.RAW: frozenset({TablePermission.RAW}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundTable:
    """A table with what narrows it; `encoded_schema` is `encode_schema` of it.

    `column_rules` are the columns that are in some rule, in the catalog's spelling, with everybody whom a rule on them
    names.
    """

    schema: TableSchema
    encoded_schema: bytes
    row_rules: tuple[BoundRowRules, ...]
    column_rules: Mapping[str, frozenset[PrincipalSelector]]
    denials: tuple[BoundDenial, ...]
    column_denials: tuple[BoundColumnDenial, ...]

    def denied(self, principal: Principal) -> frozenset[TablePermission]:
        """Give all that denials take from a principal, whatever any grant says, with what goes along."""
        return frozenset(
            lost
            for denial in self.denials
            if denial.spared.holds_for(principal)
            for permission in denial.permissions
            for lost in _BROUGHT_BY_DENIAL[permission]
        )

    def closed_columns(self, principal: Principal) -> frozenset[str]:
        """Give the columns that are kept from a principal, whatever any grant says."""
        return self.columns_ruled_out(principal) | self.columns_denied(principal)

    def columns_denied(self, principal: Principal) -> frozenset[str]:
        """Give the columns that denials by tags keep from a principal."""
        return frozenset(
            column for denial in self.column_denials if denial.spared.holds_for(principal) for column in denial.columns
        )

    def columns_ruled_out(self, principal: Principal) -> frozenset[str]:
        """Give the columns that the column rules keep from a principal."""
        return frozenset(
            column
            for column, selectors in self.column_rules.items()
            if not any(selector in selectors for selector in selectors_of(principal))
        )


_COPIED_FOR_A_GROUP: Final = 20
"""Selectors that are copied in the time in which one group is hashed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class BoundPolicy:
    """A policy that decides. Immutable: a reload makes another. It does not print what it holds.

    `table_names` finds tables by the last two parts of their name, and by the last one, both folded. `grants` holds
    the grants on tables by what they are on, then by whom they name; `scopes` tells what a selector has grants on.
    """

    version: PolicyVersion
    snapshot: CatalogSnapshot
    default_issuer: str
    tables: Mapping[TableKey, BoundTable]
    table_names: Mapping[tuple[str, ...], tuple[TableKey, ...]]
    grants: Mapping[Scope, Mapping[PrincipalSelector, tuple[BoundGrant, ...]]]
    scopes: Mapping[PrincipalSelector, frozenset[Scope]]
    s3_grants: Mapping[PrincipalSelector, tuple[S3Grant, ...]]
    redshift_grants: Mapping[PrincipalSelector, tuple[RedshiftGrant, ...]]
    s3_denials: tuple[S3Denial, ...]
    redshift_denials: tuple[RedshiftDenial, ...]
    dynamodb_grants: Mapping[PrincipalSelector, tuple[DynamoDbGrant, ...]] = field(default_factory=dict)
    dynamodb_denials: tuple[DynamoDbDenial, ...] = ()
    service_grants: Mapping[PrincipalSelector, tuple[ServiceGrant, ...]] = field(default_factory=dict)
    service_denials: tuple[ServiceDenial, ...] = ()


def selectors_of(principal: Principal) -> Iterator[PrincipalSelector]:
    """Give every selector that names a principal: the same ones for which `selects` is true."""
    yield from own_selectors(principal)
    yield from principal.groups


def groups_among(named: Mapping[PrincipalSelector, object], principal: Principal) -> Iterator[PrincipalSelector]:
    """Give the groups of a principal that a mapping has: neither many groups nor many of others make it slow."""
    # Python: a set keeps the hashes of its members, so neither the copy nor the intersection hashes a group again.
    if len(named) <= _COPIED_FOR_A_GROUP * len(principal.groups):
        yield from principal.groups & frozenset(named)
    else:
        yield from (group for group in principal.groups if group in named)


def own_selectors(principal: Principal) -> Iterator[PrincipalSelector]:
    """Give the selectors that name a principal by anything but a group."""
    if principal.username is not None:
        yield UserByName(issuer=principal.issuer, username=principal.username)
    yield UserBySubject(issuer=principal.issuer, subject=principal.subject)
    yield EveryoneOf(issuer=principal.issuer)
