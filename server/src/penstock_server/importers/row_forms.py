"""Row expressions in one form, so that two ways of making them can be compared.

A form is nested tuples and frozensets: the order of operands and the spelling of constants do not count. Two equal
forms mean the same rows; two that differ may still do so, and are reported as different.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final, assert_never

from penstock_server.model.predicate import (
    AllTrue,
    Always,
    And,
    AnyTrue,
    Between,
    Compare,
    Constant,
    In,
    IsNull,
    Like,
    Never,
    Not,
    Or,
    Predicate,
)

Form = Hashable
"""One row expression."""

Rows = frozenset[Form]
"""The OR of expressions, each by `IS TRUE`; empty = no row."""

TRUE: Final[Form] = ("true",)
ALL_ROWS: Final[Rows] = frozenset({TRUE})
NO_ROWS: Final[Rows] = frozenset()


def any_of(forms: Iterable[Form]) -> Rows:
    """Give the OR of expressions; all rows swallow the rest."""
    found = frozenset(forms)
    return ALL_ROWS if TRUE in found else found


def constant_form(value: Constant) -> Form:
    """Give a constant: numbers by value, the rest by type and value."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, int | Decimal | float):
        return ("number", Fraction(value))
    if isinstance(value, date | datetime):
        return ("time", value.isoformat())
    return ("text", value)


def joined(kind: str, operands: Iterable[Form]) -> Form:
    """Give AND or OR, with operands of the same kind taken in."""
    flat: set[Form] = set()
    for operand in operands:
        if isinstance(operand, tuple) and operand[0] == kind:
            flat |= operand[1]
        else:
            flat.add(operand)
    return next(iter(flat)) if len(flat) == 1 else (kind, frozenset(flat))


def rows_of(predicate: Predicate) -> Rows:
    """Give what a predicate of a decision says: its alternatives where it joins grants or rules."""
    match predicate:
        case AnyTrue(operands=operands):
            return any_of(form for operand in operands for form in rows_of(operand))
        case Never():
            return NO_ROWS
        case _:
            return frozenset({form_of(predicate)})


def form_of(predicate: Predicate) -> Form:
    """Give the form of one expression."""
    match predicate:
        case Always():
            return TRUE
        case Never():
            return ("never",)
        case Not(operand=operand):
            return ("not", form_of(operand))
        case And(operands=operands):
            return joined("and", [form_of(operand) for operand in operands])
        case Or(operands=operands):
            return joined("or", [form_of(operand) for operand in operands])
        case AnyTrue(operands=operands) | AllTrue(operands=operands):
            kind = "any" if isinstance(predicate, AnyTrue) else "all"
            return (kind, frozenset(form_of(operand) for operand in operands))
        case _:
            return _test_form(predicate)


def _test_form(predicate: Compare | Between | In | Like | IsNull) -> Form:
    match predicate:
        case Compare(column=column, op=op, value=value):
            return ("compare", column, op.value, constant_form(value))
        case Between(column=column, low=low, high=high):
            return ("between", column, constant_form(low), constant_form(high))
        case In(column=column, values=values):
            return ("in", column, frozenset(constant_form(value) for value in values))
        case Like(column=column, pattern=pattern):
            return ("like", column, pattern)
        case IsNull(column=column):
            return ("null", column)
        case _:
            assert_never(predicate)


def words(rows: Rows) -> str:
    """Say in a line which rows are meant, for the report."""
    if rows == ALL_ROWS:
        return "all"
    # No name and no constant holds NUL, which stands in the path of a field.
    return " | ".join(sorted(_words(form) for form in rows)).replace("\0", ".") or "none"


def _words(form: Form) -> str:
    match form:
        case ("true",):
            return "TRUE"
        case ("compare", column, op, (_, value)):
            return f"{column} {op} {_value(value)}"
        case ("between", column, (_, low), (_, high)):
            return f"{column} BETWEEN {_value(low)} AND {_value(high)}"
        case ("in", column, frozenset() as values):
            return f"{column} IN ({', '.join(sorted(_value(value) for _, value in values))})"
        case ("like", column, pattern):
            return f"{column} LIKE {_value(pattern)}"
        case ("null", column):
            return f"{column} IS NULL"
        case ("not", operand):
            return f"NOT ({_words(operand)})"
        case (("and" | "or" | "any" | "all") as kind, frozenset() as operands):
            word = " AND " if kind in {"and", "all"} else " OR "
            return "(" + word.join(sorted(_words(operand) for operand in operands)) + ")"
        case _:
            return str(form)


def _value(value: object) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)
