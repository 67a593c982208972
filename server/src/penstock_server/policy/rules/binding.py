"""Binds a rules dataset to its table."""

from __future__ import annotations

from penstock_server.model.schema import Column, TableSchema, TypeFamily
from penstock_server.policy.bound import BoundRowRules
from penstock_server.policy.constants import require_fit
from penstock_server.policy.problems import Problems
from penstock_server.policy.rules.csv_text import RulesTable
from penstock_server.policy.rules.form import FIELD_TYPES, RowError
from penstock_server.policy.source import RowRulesSource


def bind_row_rules(rules: RowRulesSource, schema: TableSchema, problems: Problems) -> BoundRowRules | None:
    """Bind the fields of a rules dataset to columns of their types; None where one does not fit."""
    if rules.table is None:
        problems.add(rules.place, f"the query of the rules dataset `{rules.name}` was not asked here")
        return None
    before = len(problems)
    columns: list[str] = []
    for index in range(len(rules.table.fields)):
        column = _column(rules.table, index, schema, problems)
        if column is not None:
            _check_values(rules.table, index, column, problems)
            columns.append(column.name)
    if len(problems) > before or len(columns) != len(rules.table.fields):
        return None
    return BoundRowRules(
        name=rules.name,
        columns=tuple(columns),
        rules=rules.table.rules,
        denies=rules.denies,
        fresh_until=rules.fresh_until,
    )


def _column(table: RulesTable, index: int, schema: TableSchema, problems: Problems) -> Column | None:
    name, family = table.fields[index], table.families[index]
    column = schema.column(name)
    if column is None:
        problems.add(
            table.header_place,
            f"{schema.name} has no column `{name}`; an unknown field would restrict nothing, remove or correct it",
        )
        return None
    if column.type.family is family:
        return column
    what = f"`{column.name}` of {schema.name} is {column.type.sql}"
    if column.type.family not in FIELD_TYPES.values():
        problems.add(table.header_place, f"{what}; a rules dataset restricts no such column, remove the field")
    elif family is TypeFamily.TEXT:
        problems.add(
            table.header_place,
            f"{what} and the field is text; state it in the entry, as `types: {{{name}: {column.type.family.value}}}`",
        )
    else:
        problems.add(table.header_place, f"{what} and `types` says `{family.value}`; correct `types`")
    return None


def _check_values(table: RulesTable, index: int, column: Column, problems: Problems) -> None:
    """Require that the column can hold each value of a field that is no text."""
    for value, row in table.first_rows[index].items():
        try:
            require_fit(value, column.type)
        except ValueError as error:
            named = f"field `{table.fields[index]}`: "
            kind = f"the column is {column.type.sql}"
            told = f"{named}a value does not fit; {kind}"
            table.places.note(row, RowError(f"{named}{error}; {kind}", told=told), problems)
