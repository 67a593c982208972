"""Binds a rules dataset to its table."""

from __future__ import annotations

from penstock_server.model.schema import TableSchema, TypeFamily
from penstock_server.policy.bound import BoundRowRules
from penstock_server.policy.problems import NOT_AVAILABLE, Problems
from penstock_server.policy.source import RowRulesSource


def bind_row_rules(rules: RowRulesSource, schema: TableSchema, problems: Problems) -> BoundRowRules | None:
    """Bind the fields of a rules dataset to text columns of the table; None where one does not fit."""
    columns: list[str] = []
    for name in rules.table.fields:
        column = schema.column(name)
        if column is None:
            problems.add(
                rules.table.header_place,
                f"{schema.name} has no column `{name}`; an unknown field would restrict nothing, remove or correct it",
            )
        elif column.type.family is not TypeFamily.TEXT:
            problems.add(
                rules.table.header_place,
                f"`{column.name}` of {schema.name} is {column.type.sql}; rules on other columns than text are "
                f"{NOT_AVAILABLE}",
            )
        else:
            columns.append(column.name)
    if len(columns) != len(rules.table.fields):
        return None
    return BoundRowRules(name=rules.name, columns=tuple(columns), rules=rules.table.rules)
