"""What Lake Formation says it permits, as values: saved answers and live calls give the same ones.

Source: AWS Lake Formation API, ListPermissions, ListDataCellsFilter, ListRLSPolicyAttachments (botocore 1.44.5).
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


LakeResource = LakeTable | LakeColumns | LakeFilterName | LakeOther


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
class LakeTags:
    """LF-tags that are defined (`resource` None), or assigned to what `resource` names."""

    place: str
    resource: str | None
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeEstate:
    """Everything that was read. INVARIANT: `permissions` and `row_policies` are complete for their catalog."""

    permissions: tuple[LakePermission, ...]
    filters: tuple[LakeCellsFilter, ...]
    row_policies: tuple[LakeRowPolicy, ...]
    tags: tuple[LakeTags, ...]
