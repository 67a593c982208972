"""Binds columns, rows and masks to one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penstock_server.model.decision import Mask
from penstock_server.model.predicate import Always
from penstock_server.model.resource import fold
from penstock_server.model.schema import TableSchema
from penstock_server.policy.bound import BoundFilter
from penstock_server.policy.fields import Text
from penstock_server.policy.filter_binding import bind_filter
from penstock_server.policy.filter_tokens import ExpressionError
from penstock_server.policy.masks import MaskSource, bind_mask
from penstock_server.policy.problems import NOT_AVAILABLE, Problems
from penstock_server.policy.row_tests import Fixed, RowTest
from penstock_server.policy.source import CellsSource, ColumnList, ColumnMode, MaskUse, RowsSource


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundCells:
    """Columns and rows of a filter or grant on one table; None = all columns, those to come too.

    `excluding` = the columns are all but those that the policy names.
    """

    columns: frozenset[str] | None
    rows: RowTest
    excluding: bool


def bind_cells(cells: CellsSource, schema: TableSchema, problems: Problems) -> BoundCells | None:
    """Bind columns and rows; None where they do not fit the table."""
    columns = _bind_columns(cells.columns, schema, problems) if cells.columns is not None else None
    rows = _bind_rows(cells.rows, schema, problems) if cells.rows is not None else Fixed(predicate=Always())
    if rows is None or (columns is None and cells.columns is not None):
        return None
    excluding = cells.columns is not None and cells.columns.mode is ColumnMode.EXCLUDE
    return BoundCells(columns=columns, rows=rows, excluding=excluding)


def bind_masks(
    uses: tuple[MaskUse, ...],
    cells: tuple[BoundCells, ...],
    schema: TableSchema,
    masks: Mapping[str, MaskSource],
    problems: Problems,
) -> Mapping[str, Mask]:
    """Bind the masks of a grant by column, in the catalog's spelling; what is wrong is noted and left out."""
    bound: dict[str, Mask] = {}
    for use in uses:
        column = find_column(use.column, schema, problems)
        if column is None:
            continue
        if not any(part.columns is None or column in part.columns for part in cells):
            problems.add(
                use.column.place, f"the mask on `{column}` masks a column of {schema.name} that the grant does not show"
            )
            continue
        found = schema.column(column)
        source = masks.get(use.mask.value)
        if found is None or source is None:
            continue
        try:
            bound[column] = bind_mask(source, found)
        except ExpressionError as error:
            problems.add(use.mask.place, f"the mask `{source.name}` does not fit {schema.name}: {error.message}")
    return bound


def bound_filter(cells: BoundCells, masks: Mapping[str, Mask]) -> BoundFilter:
    """Join columns and rows with those masks whose columns they show."""
    shown = {name: mask for name, mask in masks.items() if cells.columns is None or name in cells.columns}
    return BoundFilter(columns=cells.columns, rows=cells.rows, masks=shown, excluding=cells.excluding)


def _bind_columns(columns: ColumnList, schema: TableSchema, problems: Problems) -> frozenset[str] | None:
    named: dict[str, str] = {}
    for text in columns.names:
        found = find_column(text, schema, problems)
        if found is None:
            return None
        if found in named:
            problems.add(text.place, f"`{text.value}` and `{named[found]}` are one column; remove one")
            return None
        named[found] = text.value
    if columns.mode is ColumnMode.INCLUDE:
        return frozenset(named)
    # INVARIANT: `exclude` is resolved here: a column that appears later stays hidden until the next bind.
    left = frozenset(column.name for column in schema.columns if column.name not in named)
    if not left:
        problems.add(columns.names[0].place, f"`exclude` leaves no column of {schema.name}; remove the grant instead")
        return None
    return left


def find_column(text: Text, schema: TableSchema, problems: Problems) -> str | None:
    """Give a column's name in the catalog's spelling; None where the table has none such."""
    column = schema.column(text.value)
    if column is not None:
        return column.name
    head = text.value.partition(".")[0]
    if head != text.value and schema.column(head) is not None:
        problems.add(text.place, f"`{text.value}`: fields of a column are {NOT_AVAILABLE}")
        return None
    known = _near(text.value, schema)
    problems.add(text.place, f"{schema.name} has no column `{text.value}`{known}")
    return None


def _near(name: str, schema: TableSchema) -> str:
    """Help with a typo: the columns that begin alike."""
    alike = [column.name for column in schema.columns if fold(column.name)[:2] == fold(name)[:2]]
    return f"; is `{'` or `'.join(alike[:3])}` meant?" if alike else ""


def _bind_rows(rows: RowsSource, schema: TableSchema, problems: Problems) -> RowTest | None:
    try:
        return bind_filter(rows.node, schema)
    except ExpressionError as error:
        problems.add(rows.place, f"`rows`, character {error.position + 1}: {error.message}")
        return None
