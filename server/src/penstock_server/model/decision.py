"""What the policy decided for one principal: the value that every door enforces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

from penstock_server.model.cell_paths import field_path
from penstock_server.model.masks import Mask as Mask  # noqa: PLC0414 - one of the nouns of a decision
from penstock_server.model.predicate import Predicate
from penstock_server.model.resource import S3Location, S3Permission, TableName
from penstock_server.model.schema import Column, TableSchema, cells_of

PolicyVersion = NewType("PolicyVersion", str)
"""Hash of the canonical content of all policy files and the rules they name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellCase:
    """Where `when` IS TRUE the cell shows its value (`mask` None) or the mask."""

    when: Predicate
    mask: Mask | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernedColumn:
    """A visible column. The first case that IS TRUE decides the cell; where none is, the cell is NULL.

    A single case `Always` with no mask is the column as it stands.

    A struct of which fields are left out, or whose fields are not shown in the same rows, is rebuilt: it has `fields`
    and no cases, and its type has those fields alone. It is NULL as a whole where none of its fields is shown, and
    where it is NULL itself and some field is shown clear; elsewhere it holds what each field shows.
    """

    column: Column
    cases: tuple[CellCase, ...]
    fields: tuple[GovernedColumn, ...] = ()

    def parts(self) -> Iterator[GovernedColumn]:
        """Give what has cases of its own: the column, or the fields of a rebuilt struct, each named by its path."""
        if not self.fields:
            yield self
        for field in self.fields:
            path = field_path(self.column.name, field.column.name)
            yield from replace(field, column=replace(field.column, name=path)).parts()


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernedTable:
    """Exactly the cells of one table that one principal may see.

    A row appears where every predicate of `rows` IS TRUE; none = all rows. `columns` is never empty.
    """

    schema: TableSchema
    columns: tuple[GovernedColumn, ...]
    rows: tuple[Predicate, ...]

    @property
    def name(self) -> TableName:
        """The table's name."""
        return self.schema.name

    def cells(self) -> Iterator[Column]:
        """Give all that is shown one by one, each named by its path, as `TableSchema.cells` gives them."""
        for column in self.columns:
            yield from cells_of(column.column)

    def parts(self) -> Iterator[GovernedColumn]:
        """Give the columns, and in place of rebuilt structs their fields, each named by its path."""
        for column in self.columns:
            if column.fields:
                yield from column.parts()
            else:
                yield column


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaping:
    """Why a result has fewer columns, rows or clear cells, in words and names that the caller may see.

    `grants` and `row_rules` are names from the policy; `hidden_columns` is a count only for administrators and thus
    not here. `masked` pairs column and mask; `partly_null` lists columns whose cells are NULL on some rows by policy.
    Fields of structs are written as in a policy (`address.city`). `columns_left_out` is true where a field is, too.
    `row_filters` are the grants whose filters decide which rows are there, `column_lists` those whose lists decide
    which columns; both are empty where the grants leave none out. `column_rules` = column rules close columns that
    the grants would show; `column_denials` = denials do.
    """

    grants: tuple[str, ...]
    row_rules: tuple[str, ...]
    masked: tuple[tuple[str, str], ...]
    partly_null: tuple[str, ...]
    rows_filtered: bool
    columns_left_out: bool
    row_filters: tuple[str, ...]
    column_lists: tuple[str, ...]
    column_rules: bool
    column_denials: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDecision:
    """SELECT is allowed on `table`.

    `full` means: every column present and future, every row, no mask, no rule: what the credential doors ask for.
    `fingerprint` is a hash of everything that shapes the relation; equal ones mean equal relations, whoever asks.
    `expires_at` is the first instant at which a condition, an `expires` or an exception may change the decision.
    """

    table: GovernedTable
    shaping: Shaping
    full: bool
    policy_version: PolicyVersion
    fingerprint: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDescribed:
    """The caller may know the table and its visible columns, no more: DESCRIBE without SELECT, or under a denial."""

    schema: TableSchema
    columns: tuple[Column, ...]
    reason: str
    hint: str
    policy_version: PolicyVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class TableHidden:
    """For this caller the table does not exist."""

    policy_version: PolicyVersion


TableOutcome = TableDecision | TableDescribed | TableHidden


class Access(StrEnum):
    """What is asked of AWS resources."""

    READ = "read"
    LIST = "list"
    WRITE = "write"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Scope:
    """One S3 prefix (or object, where `exact`) with the permissions that are granted *and* asked for.

    `location.key` is literal text: every character stands for itself.
    """

    location: S3Location
    exact: bool
    permissions: frozenset[S3Permission]


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsDecision:
    """AWS credentials are allowed for these scopes.

    `max_ttl` is the smallest bound that a used grant states, or None. `expires_at` bounds the credentials too.
    """

    scopes: tuple[S3Scope, ...]
    grants: tuple[str, ...]
    max_ttl: timedelta | None
    expires_at: datetime | None
    policy_version: PolicyVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class RedshiftDecision:
    """A Redshift login is allowed, with these database groups."""

    login: str
    database_groups: tuple[str, ...]
    grants: tuple[str, ...]
    max_ttl: timedelta | None
    expires_at: datetime | None
    policy_version: PolicyVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """A door stays shut. `reason` and `hint` are for the caller: what to ask for, never what exists."""

    reason: str
    hint: str
    policy_version: PolicyVersion


AwsOutcome = AwsDecision | Denied
RedshiftOutcome = RedshiftDecision | Denied
