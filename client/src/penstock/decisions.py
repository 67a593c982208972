"""What a caller learns about itself and about tables: identity, visible columns, applied policy, explanations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The caller, as the server verified it.

    Identity is `issuer` and `subject`; `username` is for display and may be empty. `groups_complete` is False where
    the identity provider left some out of the token. `expires_at` is when the token ends.
    """

    username: str
    subject: str
    issuer: str
    groups: tuple[str, ...]
    groups_complete: bool
    expires_at: datetime
    policy_version: str
    administrator: bool
    auditor: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A visible column. `mask` names the mask that it shows on some or all rows, empty for none.

    `partly_null` says that its cells are NULL on some rows because no grant shows them there.
    """

    name: str
    type: str
    mask: str
    partly_null: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedColumn:
    """A column and the name of the mask that it shows."""

    column: str
    mask: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedPolicy:
    """How the policy shaped one table for the caller. Holds only names that the caller may see.

    `rows_filtered` and `columns_left_out` say that the policy may leave something out, never what or how much.
    `row_filter_grants` are the grants whose filters do it, beside `row_rules`; `column_list_grants` those whose column
    lists do it, beside column rules where `column_rules_applied`.
    """

    table: str
    grants: tuple[str, ...]
    row_rules: tuple[str, ...]
    masked_columns: tuple[MaskedColumn, ...]
    partly_null_columns: tuple[str, ...]
    rows_filtered: bool
    columns_left_out: bool
    row_filter_grants: tuple[str, ...] = ()
    column_list_grants: tuple[str, ...] = ()
    column_rules_applied: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table as the caller sees it; `queryable` False means that it may only be described.

    `applied_policy` is None where it is not queryable.
    """

    name: str
    columns: tuple[Column, ...]
    queryable: bool
    rows_filtered: bool
    applied_policy: AppliedPolicy | None


class TableAccess(StrEnum):
    """What the caller may do with a table."""

    NOT_FOUND = "not_found"
    DESCRIBE = "describe"
    SELECT = "select"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCheck:
    """The answer about one table, under the name that was asked; no columns where it is not found."""

    table: str
    access: TableAccess
    columns: tuple[Column, ...]
    rows_filtered: bool
    policy_version: str


class Verdict(StrEnum):
    """What one layer of a decision did."""

    ALLOWED = "allowed"
    NARROWED = "narrowed"
    REFUSED = "refused"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One layer of a decision in words, with its parts in the order in which they were looked at."""

    layer: str
    verdict: Verdict
    sentence: str
    children: tuple[Explanation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryExplanation:
    """A statement, explained and not run: `tree` has one child a table, in the order of the statement.

    `used_columns` are the columns that the statement uses of each table; empty where an administrator asks about a
    statement that would be refused.
    """

    tree: Explanation
    used_columns: Mapping[str, tuple[str, ...]]
    policy_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedPrincipal:
    """Of whom an administrator asks; what is left out is taken as absent from their token.

    `issuer` "" means the default one; `username` or `subject` must be given. `groups` are in the issuer's own words.
    """

    username: str = ""
    subject: str = ""
    issuer: str = ""
    groups: tuple[str, ...] = ()
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    source_address: str = ""
