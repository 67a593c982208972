"""Binds columns, rows and masks to one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from penstock_server.model.cell_paths import is_field, joined_path, parse_path, written_path
from penstock_server.model.decision import Mask
from penstock_server.model.predicate import Always
from penstock_server.model.schema import Column, TableSchema, cells_of
from penstock_server.policy.bound import BoundFilter
from penstock_server.policy.filters.binding import bind_filter, missing_part
from penstock_server.policy.filters.row_tests import Fixed, RowTest
from penstock_server.policy.filters.tokens import ExpressionError
from penstock_server.policy.masks.declared import MaskSource, bind_mask
from penstock_server.policy.problems import Problems
from penstock_server.policy.reading.fields import Text
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
    """Bind the masks of a grant by the path of each cell; what is wrong is noted and left out."""
    bound: dict[str, Mask] = {}
    for use in uses:
        found = find_part(use.column, schema, problems)
        source = masks.get(use.mask.value)
        if found is None or source is None:
            continue
        # A mask on a struct is one on each of its fields.
        for cell in cells_of(found):
            if cell.name in bound:
                problems.add(use.column.place, f"`{use.column.value}` has two masks; remove one")
                break
            if not any(part.columns is None or cell.name in part.columns for part in cells):
                continue
            try:
                bound[cell.name] = bind_mask(source, replace(cell, name=written_path(cell.name)))
            except ExpressionError as error:
                problems.add(use.mask.place, f"the mask `{source.name}` does not fit {schema.name}: {error.message}")
                break
        else:
            if not any(cell.name in bound for cell in cells_of(found)):
                problems.add(
                    use.column.place,
                    f"the mask on `{use.column.value}` masks a column of {schema.name} that the grant does not show; "
                    "remove the mask, or show the column",
                )
    return bound


def bound_filter(cells: BoundCells, masks: Mapping[str, Mask]) -> BoundFilter:
    """Join columns and rows with those masks whose columns they show."""
    shown = {name: mask for name, mask in masks.items() if cells.columns is None or name in cells.columns}
    return BoundFilter(columns=cells.columns, rows=cells.rows, masks=shown, excluding=cells.excluding)


def _bind_columns(columns: ColumnList, schema: TableSchema, problems: Problems) -> frozenset[str] | None:
    named: dict[str, tuple[str, str]] = {}
    for text in columns.names:
        found = find_part(text, schema, problems)
        if found is None:
            return None
        for cell in cells_of(found):
            written, path = named.setdefault(cell.name, (text.value, found.name))
            if path != found.name:
                problems.add(text.place, f"`{text.value}` and `{written}` lie within each other; remove one")
                return None
            if written is not text.value:
                problems.add(text.place, f"`{text.value}` and `{written}` are one column; remove one")
                return None
    if columns.mode is ColumnMode.INCLUDE:
        return frozenset(named)
    # INVARIANT: `exclude` is resolved here: a column that appears later stays hidden until the next bind.
    left = frozenset(cell.name for cell in schema.cells() if cell.name not in named)
    if not left:
        problems.add(columns.names[0].place, f"`exclude` leaves no column of {schema.name}; remove the grant instead")
        return None
    return left


def find_column(text: Text, schema: TableSchema, problems: Problems) -> str | None:
    """Give the name, in the catalog's spelling, of a column as a whole; None where the table has none such."""
    found = find_part(text, schema, problems)
    if found is not None and is_field(found.name):
        problems.add(text.place, f"`{text.value}` is a field; only a whole column can stand here")
        return None
    return None if found is None else found.name


def find_part(text: Text, schema: TableSchema, problems: Problems) -> Column | None:
    """Give the column, or the field of a struct, that a text names, named by its path; None where there is none such.

    The text is a column's name as it is, or names with dots between them, each bare or in double quotes.
    """
    names = parse_path(text.value)
    column = schema.column(text.value)
    field = None if names is None else schema.at(joined_path(names))
    if column is not None and field is not None and column.name != field.name:
        problems.add(
            text.place,
            f'`{text.value}` could be the column `"{column.name}"` or the field `{written_path(field.name)}`; put each '
            "name in double quotes",
        )
        return None
    found = field if column is None else column
    if found is None:
        problems.add(text.place, missing_part((text.value,) if names is None else names, schema))
    return found


def _bind_rows(rows: RowsSource, schema: TableSchema, problems: Problems) -> RowTest | None:
    try:
        return bind_filter(rows.node, schema)
    except ExpressionError as error:
        problems.add(rows.place, f"`rows`, character {error.position + 1}: {error.message}")
        return None
