"""Predicates in words, for explanations: they read like the filter that they come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from datetime import date, datetime
from typing import Final, assert_never

from penstock_server.model.cell_paths import field_path, written_path
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
from penstock_server.model.schema import Column, TableSchema, cells_of

MAX_VALUES: Final = 20
"""Most values of an IN that are written out."""


def predicate_columns(predicate: Predicate) -> frozenset[str]:
    """Give the columns that a predicate speaks of, fields by their paths."""
    match predicate:
        case Always() | Never():
            return frozenset()
        case Compare() | Between() | In() | Like() | IsNull():
            return frozenset({predicate.column})
        case Not():
            return predicate_columns(predicate.operand)
        case And() | Or() | AnyTrue() | AllTrue():
            return frozenset().union(*(predicate_columns(operand) for operand in predicate.operands))
        case _:
            assert_never(predicate)


def cells_at(schema: TableSchema, paths: Iterable[str]) -> frozenset[str] | None:
    """Give the cells that columns and fields hold, by their paths; None where one is not there."""
    found = [schema.at(path) for path in paths]
    there = [part for part in found if part is not None]
    return frozenset(cell.name for part in there for cell in cells_of(part)) if len(there) == len(found) else None


def columns_in_words(schema: TableSchema, cells: Set[str]) -> list[str]:
    """Write columns in the order of the table; of a struct that is not there as a whole, the fields that are."""
    return [written for column in schema.columns for written in _in_words(column, cells)]


def _in_words(column: Column, cells: Set[str]) -> Iterator[str]:
    if all(cell.name in cells for cell in cells_of(column)):
        yield written_path(column.name)
        return
    for field in column.type.fields:
        yield from _in_words(Column(name=field_path(column.name, field.name), type=field.type), cells)


def predicate_in_words(predicate: Predicate) -> str:
    """Write a predicate for a person."""
    match predicate:
        case Always():
            return "TRUE"
        case Never():
            return "a value of yours that is missing would be needed"
        case Compare() | Between() | In() | Like() | IsNull():
            return f"{written_path(predicate.column)} {_test(predicate)}"
        case Not():
            return f"NOT ({predicate_in_words(predicate.operand)})"
        case And() | AllTrue():
            return _joined(" AND ", predicate.operands)
        case Or() | AnyTrue():
            return _joined(" OR ", predicate.operands)
        case _:
            assert_never(predicate)


def _test(predicate: Compare | Between | In | Like | IsNull) -> str:
    match predicate:
        case Compare():
            return f"{predicate.op.value} {_constant(predicate.value)}"
        case Between():
            return f"BETWEEN {_constant(predicate.low)} AND {_constant(predicate.high)}"
        case In():
            return f"IN ({_values(predicate.values)})"
        case Like():
            return f"LIKE {_constant(predicate.pattern)}"
        case IsNull():
            return "IS NULL"


def _joined(word: str, operands: tuple[Predicate, ...]) -> str:
    if not operands:
        return "FALSE"
    return word.join(
        f"({predicate_in_words(operand)})"
        if isinstance(operand, And | Or | AnyTrue | AllTrue)
        else predicate_in_words(operand)
        for operand in operands
    )


def _values(values: frozenset[Constant]) -> str:
    written = sorted(_constant(value) for value in values)
    more = f", and {len(written) - MAX_VALUES} more" if len(written) > MAX_VALUES else ""
    return ", ".join(written[:MAX_VALUES]) + more


def _constant(value: Constant) -> str:
    match value:
        case str():
            return "'" + value.replace("'", "''") + "'"
        case bool():
            return "TRUE" if value else "FALSE"
        case datetime():
            return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
        case date():
            return f"DATE '{value.isoformat()}'"
        case _:
            return str(value)
