"""Predicates, cells and masks as Redshift reads them, where it says exactly the same; else refused.

| refused | because |
|---|---|
| order of texts (`<`, `BETWEEN`) | it depends on the collation, and trailing blanks do not count |
| FLOAT, TIMESTAMP WITH TIME ZONE in a condition | NaN and time zones compare otherwise |
| structs, lists, fields of structs | SUPER has other rules |
| keyed hashes, expressions, most masks | the key or the function would stand in the catalog, or gives other bytes |

Redshift: trailing blanks do not count where texts are compared; a mark behind both sides makes them count.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final, assert_never

from penstock_server.engines.redshift.identifiers import identifier, text_literal
from penstock_server.model.decision import CellCase, GovernedColumn, Mask
from penstock_server.model.masks import ConstantForm, PartialForm, Period, TruncatedForm
from penstock_server.model.native import NotNativeError
from penstock_server.model.predicate import (
    AllTrue,
    Always,
    And,
    AnyTrue,
    Between,
    Compare,
    Comparison,
    Constant,
    In,
    IsNull,
    Like,
    Never,
    Not,
    Or,
    Predicate,
)
from penstock_server.model.schema import Column, TableSchema, TypeFamily

_MARK: Final = "|"
_COMPARED: Final = frozenset(
    {
        TypeFamily.TEXT,
        TypeFamily.INTEGER,
        TypeFamily.DECIMAL,
        TypeFamily.BOOLEAN,
        TypeFamily.DATE,
        TypeFamily.TIMESTAMP,
    }
)


class ExpressionPrinter:
    """Prints expressions over one table; `inputs` are the columns that were used so far."""

    def __init__(self, schema: TableSchema) -> None:
        self._schema = schema
        self._used: dict[str, Column] = {}

    @property
    def inputs(self) -> tuple[Column, ...]:
        """The columns that what was printed looks at, in the order of the table."""
        return tuple(column for column in self._schema.columns if column.name in self._used)

    def rows(self, rules: Sequence[Predicate]) -> str:
        """Print which rows there are. Raises NotNativeError."""
        return " AND ".join(f"(({self.predicate(rule)}) IS TRUE)" for rule in rules) or "TRUE"

    def cell(self, governed: GovernedColumn) -> str:
        """Print what a cell shows. Raises NotNativeError."""
        own = governed.column
        if governed.fields:
            raise NotNativeError(f"`{self._schema.name}.{own.name}` is a struct of which some fields are shown")
        shown = [f"WHEN ({self.predicate(case.when)}) IS TRUE THEN {self._shown(own, case)}" for case in governed.cases]
        self._used[own.name] = own
        return f"CASE {' '.join(shown)} ELSE NULL END"

    def predicate(self, rule: Predicate) -> str:
        """Print a predicate. Raises NotNativeError."""
        match rule:
            case Always():
                return "TRUE"
            case Never():
                return "CAST(NULL AS boolean)"
            case Compare() | Between() | In() | Like() | IsNull():
                return self._about_a_column(rule)
            case Not():
                return f"NOT ({self.predicate(rule.operand)})"
            case And():
                return " AND ".join(f"({self.predicate(operand)})" for operand in rule.operands)
            case Or():
                return " OR ".join(f"({self.predicate(operand)})" for operand in rule.operands)
            case AnyTrue():
                return " OR ".join(f"(({self.predicate(part)}) IS TRUE)" for part in rule.operands) or "FALSE"
            case AllTrue():
                return " AND ".join(f"(({self.predicate(part)}) IS TRUE)" for part in rule.operands)
            case _:
                assert_never(rule)

    def _about_a_column(self, rule: Compare | Between | In | Like | IsNull) -> str:
        column = self._column(rule.column, compared=not isinstance(rule, IsNull))
        text = column.type.family is TypeFamily.TEXT
        name = identifier(column.name)
        compared = f"({name} || '{_MARK}')" if text else name
        match rule:
            case IsNull():
                return f"{name} IS NULL"
            case Like():
                # Redshift: the default escape is the backslash, which no pattern holds; blanks count in LIKE.
                return f"{name} LIKE {text_literal(rule.pattern)}"
            case In():
                values = ", ".join(sorted(self._constant(column, value) for value in rule.values))
                return f"{compared} IN ({values})"
            case Between():
                self._refuse_order(column)
                low, high = self._constant(column, rule.low), self._constant(column, rule.high)
                return f"{compared} BETWEEN {low} AND {high}"
            case Compare():
                if rule.op not in {Comparison.EQUAL, Comparison.NOT_EQUAL}:
                    self._refuse_order(column)
                return f"{compared} {rule.op.value} {self._constant(column, rule.value)}"
            case _:
                assert_never(rule)

    def _column(self, path: str, *, compared: bool) -> Column:
        column = self._schema.column(path)
        if column is None:
            raise NotNativeError(f"`{self._schema.name}`: `{path}` is a field of a struct")
        if compared and column.type.family not in _COMPARED:
            raise NotNativeError(f"`{self._schema.name}.{column.name}` of type {column.type.sql} stands in a condition")
        self._used[column.name] = column
        return column

    def _refuse_order(self, column: Column) -> None:
        if column.type.family in {TypeFamily.TEXT, TypeFamily.BOOLEAN}:
            raise NotNativeError(f"`{self._schema.name}.{column.name}`: texts are compared by their order")

    def _constant(self, column: Column, value: Constant) -> str:
        if column.type.family is TypeFamily.TEXT:
            return self._text(f"{value}{_MARK}", column)
        return self._value(value, column)

    def _value(self, value: Constant, column: Column) -> str:
        match value:
            case bool():
                return "TRUE" if value else "FALSE"
            case str():
                return self._text(value, column)
            case int():
                return str(value)
            case Decimal() if value.is_finite():
                return f"{value:f}"
            case datetime() if value.tzinfo is None:
                return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
            case date() if not isinstance(value, datetime):
                return f"DATE '{value.isoformat()}'"
            case _:
                raise NotNativeError(f"`{self._schema.name}.{column.name}` is compared with a value of that type")

    def _text(self, value: str, column: Column) -> str:
        try:
            return text_literal(value)
        except ValueError as error:
            raise NotNativeError(f"`{self._schema.name}.{column.name}`: {error}") from error

    def _shown(self, own: Column, case: CellCase) -> str:
        return identifier(own.name) if case.mask is None else self._masked(own, case.mask)

    def _masked(self, own: Column, mask: Mask) -> str:
        if not mask.shows_null and mask.type.sql != own.type.sql:
            raise NotNativeError(f"`{self._schema.name}.{own.name}`: the mask `{mask.name}` has another type")
        name = identifier(own.name)
        match mask.form:
            case ConstantForm(when_null=None, otherwise=None):
                return "NULL"
            case ConstantForm(when_null=when_null, otherwise=otherwise):
                missing, present = (
                    "NULL" if value is None else self._value(value, own) for value in (when_null, otherwise)
                )
                return f"CASE WHEN {name} IS NULL THEN {missing} ELSE {present} END"
            case PartialForm(keep_first=first, keep_last=last, filler=filler) if own.type.family is TypeFamily.TEXT:
                fill = self._text(filler, own)
                kept = first + last
                start = f"left({name}, {first}) || " if first else ""
                end = f" || right({name}, {last})" if last else ""
                return (
                    f"CASE WHEN length({name}) <= {kept} THEN repeat({fill}, length({name}))"
                    f" ELSE {start}repeat({fill}, length({name}) - {kept}){end} END"
                )
            case TruncatedForm(period=period) if own.type.family is TypeFamily.DATE:
                unit = "year" if period is Period.YEAR else "month"
                return f"CAST(date_trunc('{unit}', {name}) AS date)"
            case _:
                raise NotNativeError(f"`{self._schema.name}.{own.name}`: the mask `{mask.name}` has no exact form")
