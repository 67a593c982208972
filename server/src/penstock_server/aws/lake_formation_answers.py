"""Answers of Lake Formation, as calls give them or as they were saved, to records.

Source: AWS Lake Formation API (botocore 1.44.5).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from penstock_server.aws.answers import Answer
from penstock_server.aws.lake_formation_tags import (
    PAGE,
    defined_tag,
    defined_tags,
    table_tags,
    tag_expressions,
    tag_policy,
)
from penstock_server.errors import ConfigurationError
from penstock_server.model.lake_formation import (
    LakeCellsFilter,
    LakeColumns,
    LakeEstate,
    LakeFilterName,
    LakeOther,
    LakePermission,
    LakeResource,
    LakeRowPolicy,
    LakeTable,
    LakeTableTags,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeAnswer:
    """All pages of one call; `operation` names it as the API does.

    `table` is the database and the table that were asked for, where the answer does not say it: GetResourceLFTags.
    """

    operation: str
    pages: tuple[Answer, ...]
    table: tuple[str, str] | None = None


def operation_of(page: Answer) -> str:
    """Tell which call gave an answer, by the member that only its answers have.

    Raises:
        ConfigurationError: none that is known.
    """
    for operation, members in _MEMBERS.items():
        if any(member in page.members for member in members):
            return operation
    raise page.problem("is no answer of a call that is read here; these are: " + ", ".join(_MEMBERS))


def estate_of(answers: tuple[LakeAnswer, ...]) -> LakeEstate:
    """Give what all answers say together.

    Raises:
        ConfigurationError: an answer is cut off or not of its shape, or one is missing without which what is permitted
            is not known.
    """
    for needed, why in _NEEDED.items():
        if not any(answer.operation == needed for answer in answers):
            raise ConfigurationError((f"Lake Formation: there is no answer of {needed}: {why}",))
    for answer in answers:
        _check_complete(answer)
    pages = [(answer.operation, page) for answer in answers for page in answer.pages]
    return LakeEstate(
        permissions=tuple(record for name, page in pages if name == "ListPermissions" for record in _permissions(page)),
        filters=tuple(record for name, page in pages if name == "ListDataCellsFilter" for record in _filters(page)),
        row_policies=tuple(
            record for name, page in pages if name == "ListRLSPolicyAttachments" for record in _attachments(page)
        ),
        tags=(
            *(record for name, page in pages if name == "ListLFTags" for record in defined_tags(page)),
            *(record for name, page in pages if name == "GetLFTag" for record in defined_tag(page)),
        ),
        table_tags=_table_tags(answers),
        tag_expressions=tuple(
            record for name, page in pages if name == "ListLFTagExpressions" for record in tag_expressions(page)
        ),
        tag_searches=tuple(page.place for name, page in pages if name == "SearchTablesByLFTags"),
    )


def _table_tags(answers: tuple[LakeAnswer, ...]) -> tuple[LakeTableTags, ...]:
    found: dict[tuple[str, str], LakeTableTags] = {}
    for answer in answers:
        if answer.operation != "GetResourceLFTags":
            continue
        (page,) = answer.pages
        if answer.table is None:
            raise page.problem("does not say of which table; save it as `get-resource-lf-tags.DATABASE.TABLE.json`")
        if answer.table in found:
            raise page.problem("tells the tags of a table that another answer tells too")
        found[answer.table] = table_tags(page, *answer.table)
    return tuple(found.values())


_MEMBERS: Final = {
    "ListPermissions": ("PrincipalResourcePermissions",),
    "ListDataCellsFilter": ("DataCellsFilters",),
    "ListRLSPolicyAttachments": ("RLSPolicyAttachments",),
    "ListLFTags": ("LFTags",),
    "ListLFTagExpressions": ("LFTagExpressions",),
    "GetLFTag": ("TagKey",),
    "SearchTablesByLFTags": ("TableList",),
    "GetResourceLFTags": ("LFTagOnDatabase", "LFTagsOnTable", "LFTagsOnColumns"),
}
_ALL_TABLES: Final = "ALL_TABLES"
"""AWS: how answers name every table of a database, beside `TableWildcard`; no table has capitals in its name."""

_NEEDED: Final = {
    "ListPermissions": "nothing is permitted without it",
    "ListRLSPolicyAttachments": "a policy that hides rows could be overlooked; save the answer even if empty",
}


def _check_complete(answer: LakeAnswer) -> None:
    """Require that only the last page has no token: a page that is missing could hold a restriction."""
    for index, page in enumerate(answer.pages):
        last = index == len(answer.pages) - 1
        if page.has("NextToken") == last:
            what = "has a `NextToken`, so pages are missing behind it" if last else "has no `NextToken`"
            raise page.problem(f"{what}; save all pages of the call as a list, in order")


def _permissions(page: Answer) -> tuple[LakePermission, ...]:
    page.only("PrincipalResourcePermissions", *PAGE)
    return tuple(_permission(entry) for entry in page.children("PrincipalResourcePermissions"))


def _permission(entry: Answer) -> LakePermission:
    entry.only(
        "Principal",
        "Resource",
        "Condition",
        "Permissions",
        "PermissionsWithGrantOption",
        "AdditionalDetails",
        "LastUpdated",
        "LastUpdatedBy",
    )
    condition = entry.child("Condition")
    return LakePermission(
        place=entry.place,
        principal=_principal(entry.required("Principal")),
        resource=_resource(entry.required("Resource")),
        permissions=entry.texts("Permissions"),
        grantable=entry.texts("PermissionsWithGrantOption"),
        condition=None if condition is None else condition.text_or_none("Expression") or "",
    )


def _principal(principal: Answer) -> str:
    principal.only("DataLakePrincipalIdentifier")
    return principal.text("DataLakePrincipalIdentifier")


def _resource(resource: Answer) -> LakeResource:
    if len(resource.members) != 1:
        raise resource.problem("must hold exactly one kind of resource")
    (kind,) = resource.members
    inner = resource.required(kind)
    reader = _RESOURCES.get(kind)
    return LakeOther(kind=kind, what=_words(inner)) if reader is None else reader(inner)


def _table(table: Answer) -> LakeTable:
    table.only("CatalogId", "DatabaseName", "Name", "TableWildcard")
    every = table.has("TableWildcard")
    name = table.text_or_none("Name")
    if every == (name not in {None, _ALL_TABLES}):
        raise table.problem("must hold either `Name` or `TableWildcard`")
    return LakeTable(
        catalog_id=table.text_or_none("CatalogId"),
        database=table.text("DatabaseName"),
        table=None if every else name,
    )


def _table_with_columns(table: Answer) -> LakeResource:
    table.only("CatalogId", "DatabaseName", "Name", "ColumnNames", "ColumnWildcard")
    if table.text("Name") == _ALL_TABLES:
        columns = table.required("ColumnWildcard")
        if columns.members:
            raise columns.problem("columns of all tables of a database cannot be told apart")
        return LakeTable(catalog_id=table.text_or_none("CatalogId"), database=table.text("DatabaseName"), table=None)
    named = LakeTable(
        catalog_id=table.text_or_none("CatalogId"), database=table.text("DatabaseName"), table=table.text("Name")
    )
    return _columns(table, named)


def _columns(holder: Answer, table: LakeTable) -> LakeColumns:
    included = holder.texts("ColumnNames")
    wildcard = holder.child("ColumnWildcard")
    if bool(included) == (wildcard is not None):
        raise holder.problem("must hold either `ColumnNames` or `ColumnWildcard`")
    if wildcard is None:
        return LakeColumns(table=table, included=included, excluded=None)
    wildcard.only("ExcludedColumnNames")
    return LakeColumns(table=table, included=None, excluded=wildcard.texts("ExcludedColumnNames"))


def _filter_name(named: Answer) -> LakeFilterName:
    named.only("TableCatalogId", "DatabaseName", "TableName", "Name")
    return LakeFilterName(table=_filtered_table(named), name=named.text("Name"))


def _filtered_table(named: Answer) -> LakeTable:
    return LakeTable(
        catalog_id=named.text_or_none("TableCatalogId"),
        database=named.text("DatabaseName"),
        table=named.text("TableName"),
    )


_RESOURCES: Final[Mapping[str, Callable[[Answer], LakeResource]]] = {
    "Table": _table,
    "TableWithColumns": _table_with_columns,
    "DataCellsFilter": _filter_name,
    "LFTagPolicy": tag_policy,
}


def _words(inner: Answer) -> str:
    """Say in a line what a resource of another kind is."""
    parts = []
    for name, value in inner.members.items():
        shown = value if isinstance(value, str) else repr(value)
        parts.append(f"{name}={shown}")
    return ", ".join(parts) or "all"


def _filters(page: Answer) -> tuple[LakeCellsFilter, ...]:
    page.only("DataCellsFilters", *PAGE)
    return tuple(_filter(entry) for entry in page.children("DataCellsFilters"))


def _filter(entry: Answer) -> LakeCellsFilter:
    entry.only(
        "TableCatalogId",
        "DatabaseName",
        "TableName",
        "Name",
        "RowFilter",
        "ColumnNames",
        "ColumnWildcard",
        "VersionId",
    )
    rows = entry.required("RowFilter")
    rows.only("FilterExpression", "AllRowsWildcard")
    expression = rows.text_or_none("FilterExpression")
    # SECURITY: without the wildcard an absent expression may not read as "all rows".
    if (expression is None) != rows.has("AllRowsWildcard"):
        raise rows.problem("must hold either `FilterExpression` or `AllRowsWildcard`")
    return LakeCellsFilter(
        place=entry.place, columns=_columns(entry, _filtered_table(entry)), name=entry.text("Name"), rows=expression
    )


def _attachments(page: Answer) -> tuple[LakeRowPolicy, ...]:
    page.only("RLSPolicyAttachments", *PAGE)
    return tuple(_attachment(entry) for entry in page.children("RLSPolicyAttachments"))


def _attachment(entry: Answer) -> LakeRowPolicy:
    entry.only("CatalogId", "PolicyName", "Principal", "Resource", "Condition", "DefaultRLSPolicy")
    principal = entry.child("Principal")
    return LakeRowPolicy(
        place=entry.place,
        policy=entry.text("PolicyName"),
        principal=None if principal is None else _principal(principal),
        resource=_resource(entry.required("Resource")),
    )
