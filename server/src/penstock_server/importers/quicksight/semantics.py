"""What QuickSight shows a reader of a dataset, straight from its rules.

Inside a row AND over the cells that are not empty; a comma list is IN; the rows of a reader and of the reader's groups
are OR; no row = no data. Where the rules deny, a reader sees all rows but these; no row = all data. A column that
stands in any column rule is seen only by those whom such a rule names.

INVARIANT: shares no code with `translation` nor with `policy`.

Source: Amazon QuickSight user guide, "Using row-level security with user-based rules", "Using column-level security".
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence

from penstock_server.importers.outcome import View
from penstock_server.importers.quicksight.dataset import ColumnRule, DataSet, identity
from penstock_server.importers.quicksight.sheet import Sheet, SheetRow
from penstock_server.importers.row_forms import ALL_ROWS, NO_ROWS, TRUE, Form, Rows, joined
from penstock_server.model.resource import fold
from penstock_server.model.schema import TableSchema


def reader_view(
    dataset: DataSet,
    sheet: Sheet | None,
    rows: Iterable[SheetRow],
    identities: frozenset[str],
    schema: TableSchema,
) -> View:
    """Give what a reader who is all of `identities` sees of the table, by these rows of the sheet."""
    listed = {fold(name) for name, _ in dataset.columns}
    columns = tuple(
        column.name
        for column in schema.columns
        if fold(column.name) in listed and _open(column.name, dataset.column_rules, identities)
    )
    if not columns:
        return View(columns=(), rows=NO_ROWS, described=False)
    shown = ALL_ROWS if sheet is None else _rows(dataset, sheet, rows, identities, schema)
    if sheet is not None and not all(rules.grants for rules in dataset.rules):
        shown = _all_but(shown)
    return View(columns=tuple((name, ALL_ROWS) for name in columns), rows=shown, described=True)


def _open(column: str, rules: Sequence[ColumnRule], identities: frozenset[str]) -> bool:
    naming = [rule for rule in rules if fold(column) in {fold(name) for name in rule.columns}]
    return not naming or any(not identities.isdisjoint(rule.principals) for rule in naming)


def _rows(
    dataset: DataSet, sheet: Sheet, rows: Iterable[SheetRow], identities: frozenset[str], schema: TableSchema
) -> Rows:
    alternatives: set[Form] = set()
    one_column: dict[str, set[str]] = {}
    for row in rows:
        if sheet.by_arn:
            who = identity(row.user or row.group, dataset.account)
        else:
            who = f"{'user' if row.user else 'group'}/{dataset.rules[0].namespace}/{row.user or row.group}"
        if who not in identities:
            continue
        wanted: dict[str, frozenset[str]] = {}
        for field, cell in zip(sheet.fields, row.cells, strict=True):
            if cell:
                column = schema.column(field)
                wanted[field if column is None else column.name] = frozenset(next(csv.reader([cell], strict=True)))
        if not wanted:
            return ALL_ROWS
        if len(wanted) == 1:
            ((name, values),) = wanted.items()
            one_column.setdefault(name, set()).update(values)
        else:
            alternatives.add(joined("and", [_one_of(name, values) for name, values in wanted.items()]))
    alternatives |= {_one_of(name, values) for name, values in one_column.items()}
    return ALL_ROWS if TRUE in alternatives else frozenset(alternatives)


def _all_but(described: Rows) -> Rows:
    """Give the rows that no rule of a reader describes; a reader whom no rule names sees all."""
    if described == ALL_ROWS:
        return NO_ROWS
    return frozenset({("not", joined("or", described))}) if described else ALL_ROWS


def _one_of(column: str, values: Iterable[str]) -> Form:
    found = sorted(set(values))
    if len(found) == 1:
        return ("compare", column, "=", ("text", found[0]))
    return ("in", column, frozenset(("text", value) for value in found))
