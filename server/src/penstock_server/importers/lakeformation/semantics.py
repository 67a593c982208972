"""What Lake Formation shows a principal of a table, straight from its records.

Grants only add. Each is columns with rows; a plain grant is a filter that is TRUE. A row appears where any filter's
expression IS TRUE; a cell of it where any filter that holds its column is; else the cell is NULL.

INVARIANT: shares no code with `translation`, nor with the part of `policy` that joins grants.

Source: AWS Lake Formation developer guide, "Data filtering and cell-level security"; API, GetUnfilteredTableMetadata
(RowFilter, CellFilters). How several filters of one principal join follows from these; not verified against AWS.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from penstock_server.importers.lakeformation.expressions import UnreadableExpression, form_of_expression
from penstock_server.importers.outcome import View
from penstock_server.importers.row_forms import ALL_ROWS, NO_ROWS, TRUE, Form, Rows
from penstock_server.model.cell_paths import path_parts
from penstock_server.model.lake_formation import (
    LakeCellsFilter,
    LakeColumns,
    LakeFilterName,
    LakeOther,
    LakePermission,
    LakeTable,
    LakeTableTags,
    LakeTagExpression,
    LakeTagPolicy,
)
from penstock_server.model.resource import fold
from penstock_server.model.schema import TableSchema, cells_of


def lake_view(
    permissions: Iterable[LakePermission],
    filters: Sequence[LakeCellsFilter],
    principal: str,
    schema: TableSchema,
    *,
    tags: Iterable[LakeTableTags],
    expressions: Iterable[LakeTagExpression],
) -> View:
    """Give what these records show one principal of one table; where its tags are not known, nothing by tags."""
    matching = _Matching(tags, expressions, schema)
    shown: list[tuple[frozenset[str], Form]] = []
    described = False
    for record in permissions:
        if record.principal != principal or not _reaches(record, schema, matching):
            continue
        named = {permission.upper() for permission in record.permissions}
        described = described or bool(named & {"DESCRIBE", "SELECT", "ALL"})
        if named & {"SELECT", "ALL"}:
            shown.append(_cells(record, filters, schema, matching))
    shown = [(columns, form) for columns, form in shown if columns]
    every = frozenset(form for _, form in shown)
    columns = tuple(
        (column.name, _where(frozenset(form for names, form in shown if column.name in names), every))
        for column in schema.cells()
        if any(column.name in names for names, _ in shown)
    )
    return View(columns=columns, rows=(ALL_ROWS if TRUE in every else every) if shown else NO_ROWS, described=described)


def _where(forms: Rows, every: Rows) -> Rows:
    """Give where a cell is clear, among rows that appear: everywhere, if each filter that makes a row appear has it."""
    return ALL_ROWS if TRUE in forms or forms == every else forms


class _Matching:
    """Which columns of a table match LF-tags: a column's own value of a key, else its table's, else its database's."""

    def __init__(
        self, tags: Iterable[LakeTableTags], expressions: Iterable[LakeTagExpression], schema: TableSchema
    ) -> None:
        self._named = {each.name: each.terms for each in expressions}
        self._values: dict[str, dict[str, str]] = {}
        for each in tags:
            if (fold(each.database), fold(each.table)) != (fold(schema.name.database), fold(schema.name.table)):
                continue
            own = {fold(name): found for name, found in each.on_columns}
            for column in schema.columns:
                levels = (each.on_database, each.on_table, own.get(fold(column.name), ()))
                values = {tag.key: tag.values[0] for level in levels for tag in level}
                self._values |= {cell.name: values for cell in cells_of(column)}

    def columns(self, policy: LakeTagPolicy) -> frozenset[str]:
        """Give the columns that match."""
        terms = policy.terms if policy.name is None else self._named.get(policy.name, ())
        if policy.kind != "TABLE" or not terms:
            return frozenset()
        return frozenset(
            column
            for column, values in self._values.items()
            if all(key in values and ("*" in wanted or values[key] in wanted) for key, wanted in terms)
        )


def _reaches(record: LakePermission, schema: TableSchema, matching: _Matching) -> bool:
    if isinstance(record.resource, LakeOther):
        return False
    if isinstance(record.resource, LakeTagPolicy):
        return bool(matching.columns(record.resource))
    table = record.resource if isinstance(record.resource, LakeTable) else record.resource.table
    return fold(table.database) == fold(schema.name.database) and (
        table.table is None or fold(table.table) == fold(schema.name.table)
    )


def _cells(
    record: LakePermission, filters: Sequence[LakeCellsFilter], schema: TableSchema, matching: _Matching
) -> tuple[frozenset[str], Form]:
    match record.resource:
        case LakeTagPolicy():
            return matching.columns(record.resource), TRUE
        case LakeColumns():
            return _names(record.resource, schema), TRUE
        case LakeFilterName(name=name, table=table):
            for each in filters:
                of = each.columns.table
                if each.name == name and of == table:
                    return _names(each.columns, schema), _rows(each.rows, schema)
            return frozenset(), TRUE
        case _:
            return frozenset(cell.name for cell in schema.cells()), TRUE


def _names(columns: LakeColumns, schema: TableSchema) -> frozenset[str]:
    """Give the cells that are listed, or not listed; a field is listed with the struct that it is in."""
    listed = {_levels(fold(name), schema) for name in columns.included or columns.excluded or ()}
    wanted = columns.included is not None
    found: set[str] = set()
    for cell in schema.cells():
        levels = tuple(path_parts(fold(cell.name)))
        if any(levels[: end + 1] in listed for end in range(len(levels))) == wanted:
            found.add(cell.name)
    return frozenset(found)


def _levels(name: str, schema: TableSchema) -> tuple[str, ...]:
    """Give the names of a path: `"address"."zip"`, or `address.zip` where no column is called so."""
    if name.startswith('"') and name.endswith('"') and len(name) > 1:
        return tuple(level.replace('""', '"') for level in name[1:-1].split('"."'))
    return (name,) if schema.column(name) is not None else tuple(name.split("."))


def _rows(expression: str | None, schema: TableSchema) -> Form:
    if expression is None:
        return TRUE
    try:
        return form_of_expression(expression, schema)
    except UnreadableExpression:
        # Equal to nothing that a policy can say: the comparison shows it.
        return ("unread", expression)
