"""What a warehouse has to enforce for one database role, as it is to be said there."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_server.model.schema import Column


class NotNativeError(ValueError):
    """A decision that a warehouse cannot enforce exactly; the text names the table or column and what stands against.

    It is for operators: it may name what a caller may not see.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeMask:
    """A masking policy of one column: what it computes, and the columns that it looks at, the own one first."""

    name: str
    column: str
    expression: str
    inputs: tuple[Column, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeTable:
    """A table as one role sees it: columns, the policy that says which rows, and masks.

    `inputs` are the columns that `condition` looks at.
    """

    schema: str
    table: str
    columns: tuple[Column, ...]
    policy: str
    condition: str
    inputs: tuple[Column, ...]
    masks: tuple[NativeMask, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeRole:
    """A database role and all tables that it sees. Its name is a hash of all of it: equal names mean equal rights."""

    name: str
    tables: tuple[NativeTable, ...]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Privilege:
    """A privilege on a schema, a relation or a column ("" where it is on a wider thing), and who holds it.

    `kind` is `user`, `role`, `group` or `public`.
    """

    privilege: str
    schema: str
    relation: str
    column: str
    kind: str
    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedPolicy:
    """A row policy or mask that is attached; `column` is "" for a row policy."""

    schema: str
    relation: str
    column: str
    policy: str
    kind: str
    holder: str
    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuredRelation:
    """A relation with row security, and how policies on it are joined (`and` or `or`)."""

    schema: str
    relation: str
    on: bool
    for_datashares: bool
    joined_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WarehouseFacts:
    """What the catalogs of a warehouse say, in one look. `relations` are (schema, name, kind, owner)."""

    superusers: frozenset[str]
    relations: frozenset[tuple[str, str, str, str]]
    columns: tuple[tuple[str, str, str, str], ...]
    privileges: frozenset[Privilege]
    system_privileges: frozenset[tuple[str, str, str]]
    roles: frozenset[str]
    memberships: frozenset[tuple[str, str]]
    row_policies: frozenset[str]
    attached: frozenset[AttachedPolicy]
    secured: tuple[SecuredRelation, ...]
    mask_policies: frozenset[str]
    materialized: frozenset[tuple[str, str]]
    external_schemas: frozenset[str]
    definer_procedures: frozenset[tuple[str, str]]
    assumable: frozenset[str]
    assumed_by: frozenset[tuple[str, str, str]] = frozenset()
    """ASSUMEROLE as it was granted by name, on any role of IAM: (command, kind of holder, holder)."""

    def type_of(self, schema: str, relation: str, column: str) -> str | None:
        """Give the declared type of a column."""
        wanted = (schema, relation, column)
        return next((kind for *where, kind in self.columns if tuple(where) == wanted), None)
