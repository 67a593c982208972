"""What Lake Formation says it permits, as values: saved answers and live calls give the same ones.

Source: AWS Lake Formation API, ListPermissions, ListDataCellsFilter, ListRLSPolicyAttachments, ListLFTags,
ListLFTagExpressions, GetResourceLFTags (botocore 1.44.5).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeTable:
    """A table of a Glue catalog, or every table of a database (`table` None). `catalog_id` None = not stated."""

    catalog_id: str | None
    database: str
    table: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeColumns:
    """Columns of one table: `included`, or all but `excluded` (empty = all). Exactly one of the two is not None."""

    table: LakeTable
    included: tuple[str, ...] | None
    excluded: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeFilterName:
    """A data cells filter of one table, by name."""

    table: LakeTable
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeOther:
    """A resource that holds no rows by name: `kind` is the member of the API's union, `what` says which one."""

    kind: str
    what: str


LakeTerms = tuple[tuple[str, tuple[str, ...]], ...]
"""AND over LF-tag keys, each with the values of which any will do; `*` is any. In lower case, each key once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeTagPolicy:
    """What has matching LF-tags: databases or tables by `kind`. `terms` is empty where a named expression says it."""

    catalog_id: str | None
    kind: str
    terms: LakeTerms
    name: str | None


LakeResource = LakeTable | LakeColumns | LakeFilterName | LakeTagPolicy | LakeOther


@dataclass(frozen=True, slots=True, kw_only=True)
class LakePermission:
    """One entry of ListPermissions. `place` says where it was read; `condition` is a Cedar expression."""

    place: str
    principal: str
    resource: LakeResource
    permissions: tuple[str, ...]
    grantable: tuple[str, ...]
    condition: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeCellsFilter:
    """A data cells filter. `rows` is its expression, None = all rows."""

    place: str
    columns: LakeColumns
    name: str
    rows: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeRowPolicy:
    """An attachment of a row-level security policy; `principal` None = it is the resource's default."""

    place: str
    policy: str
    principal: str | None
    resource: LakeResource


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeTag:
    """An LF-tag in lower case: with all its values where it is defined, with one where it is on something."""

    place: str
    catalog_id: str | None
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeTableTags:
    """The LF-tags of one table, of its database, and of its columns; those further down take precedence."""

    place: str
    database: str
    table: str
    on_database: tuple[LakeTag, ...]
    on_table: tuple[LakeTag, ...]
    on_columns: tuple[tuple[str, tuple[LakeTag, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeTagExpression:
    """A named LF-tag expression."""

    place: str
    catalog_id: str | None
    name: str
    terms: LakeTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeEstate:
    """Everything that was read. INVARIANT: `permissions` and `row_policies` are complete for their catalog.

    `table_tags` are complete for the tables that they name. `tag_searches` are the places of answers of searches by
    tags: what they say of a table may be a part of its tags.
    """

    permissions: tuple[LakePermission, ...]
    filters: tuple[LakeCellsFilter, ...]
    row_policies: tuple[LakeRowPolicy, ...]
    tags: tuple[LakeTag, ...]
    table_tags: tuple[LakeTableTags, ...]
    tag_expressions: tuple[LakeTagExpression, ...]
    tag_searches: tuple[str, ...]
