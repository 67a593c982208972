"""Bytes that stand for predicates, masks and schemas: equal bytes mean equal meaning, which fingerprints rely on.

INVARIANT: every constant carries its type, every list its length; AND, OR and their like are encoded in the order of
their operands' bytes, as nothing depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import assert_never

from penstock_server.model.decision import CellCase, GovernedColumn, GovernedTable
from penstock_server.model.mask_expressions import (
    Case,
    First,
    Fixed,
    Joined,
    Last,
    Length,
    LengthAsText,
    LowerCase,
    MaskExpression,
    Part,
    UpperCase,
    Value,
    ValueAsText,
)
from penstock_server.model.masks import (
    AlphanumericForm,
    ConstantForm,
    ExpressionForm,
    GlobalDigestForm,
    KeyedHashForm,
    Mask,
    PartialForm,
    QueryDigestForm,
    RoundedForm,
    TruncatedForm,
)
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
from penstock_server.model.schema import TableSchema
from penstock_server.policy.reading.canonical import hash_parts


def encode_predicate(predicate: Predicate) -> bytes:
    """Give 32 bytes for a predicate."""
    match predicate:
        case Always() | Never():
            return hash_parts(type(predicate).__name__.encode())
        case Compare(column=column, op=op, value=value):
            return hash_parts(b"compare", column.encode(), op.value.encode(), _constant(value))
        case Between(column=column, low=low, high=high):
            return hash_parts(b"between", column.encode(), _constant(low), _constant(high))
        case In(column=column, values=values):
            return hash_parts(b"in", column.encode(), *sorted(_constant(value) for value in values))
        case Like(column=column, pattern=pattern):
            return hash_parts(b"like", column.encode(), pattern.encode())
        case IsNull(column=column):
            return hash_parts(b"is null", column.encode())
        case Not(operand=operand):
            return hash_parts(b"not", encode_predicate(operand))
        case And(operands=operands) | Or(operands=operands) | AnyTrue(operands=operands) | AllTrue(operands=operands):
            kind = type(predicate).__name__.encode()
            return hash_parts(kind, *sorted(encode_predicate(operand) for operand in operands))
        case _:
            assert_never(predicate)


def encode_schema(schema: TableSchema) -> bytes:
    """Give 32 bytes for a table's name and its pinned columns."""
    columns = (hash_parts(column.name.encode(), column.type.sql.encode()) for column in schema.columns)
    return hash_parts(b"schema", *(part.encode() for part in schema.name.key()), *columns)


def encode_relation(table: GovernedTable, schema: bytes) -> bytes:
    """Give 32 bytes for the relation that a principal sees; `schema` is its `encode_schema`."""
    columns = _columns(table.columns, {})
    rows = sorted(encode_predicate(predicate) for predicate in table.rows)
    return hash_parts(b"relation 2", schema, hash_parts(*rows), *columns)


_KnownCases = dict[int, bytes]
"""Encoded cases by the identity of their tuple, which the relation keeps alive: most columns share one."""


def _columns(columns: Sequence[GovernedColumn], known: _KnownCases) -> list[bytes]:
    """Give three parts for each column: its name, its type, and 32 bytes for what it shows."""
    parts: list[bytes] = []
    for governed in columns:
        parts += (governed.column.name.encode(), governed.column.type.sql.encode(), _shown(governed, known))
    return parts


def _shown(governed: GovernedColumn, known: _KnownCases) -> bytes:
    if governed.fields:
        return hash_parts(b"struct", *_columns(governed.fields, known))
    cases = known.get(id(governed.cases))
    if cases is None:
        cases = known[id(governed.cases)] = hash_parts(b"cases", *(_case(case) for case in governed.cases))
    return cases


def _case(case: CellCase) -> bytes:
    return hash_parts(encode_predicate(case.when), b"clear" if case.mask is None else encode_mask(case.mask))


def encode_mask(mask: Mask) -> bytes:
    """Give 32 bytes for what a mask shows; its name and rank shape nothing, and of a key only the mark goes in."""
    kind, form = mask.type.sql.encode(), mask.form
    name = type(form).__name__.encode()
    match form:
        case ConstantForm(when_null=when_null, otherwise=otherwise):
            return hash_parts(b"mask", *(b"" if c is None else _constant(c) for c in (when_null, otherwise)))
        case PartialForm(keep_first=first, keep_last=last, filler=filler):
            return hash_parts(b"mask", kind, name, b"%d %d" % (first, last), filler.encode())
        case AlphanumericForm(keep_first=first, keep_last=last):
            return hash_parts(b"mask", kind, name, b"%d %d" % (first, last))
        case TruncatedForm(period=period):
            return hash_parts(b"mask", kind, name, period.value.encode())
        case RoundedForm(to=to):
            return hash_parts(b"mask", kind, name, _constant(to))
        case KeyedHashForm(key=key):
            return hash_parts(b"mask", kind, name, key.mark.encode())
        case GlobalDigestForm():
            return hash_parts(b"mask", kind, name)
        case QueryDigestForm(salt=salt):
            return hash_parts(b"mask", kind, name, b"" if salt is None else salt.mark.encode())
        case ExpressionForm(expression=expression):
            return hash_parts(b"mask", kind, name, _expression(expression))
        case _:
            assert_never(form)


def _expression(expression: MaskExpression) -> bytes:
    name = type(expression).__name__.encode()
    match expression:
        case Fixed(value=value):
            return hash_parts(name, *([] if value is None else [_constant(value)]))
        case Value() | ValueAsText():
            return hash_parts(name)
        case First(operand=operand, count=count) | Last(operand=operand, count=count):
            return hash_parts(name, b"%d" % count, _expression(operand))
        case Part(operand=operand, start=start, count=length):
            return hash_parts(name, b"%d" % start, b"" if length is None else b"%d" % length, _expression(operand))
        case LowerCase() | UpperCase() | Length() | LengthAsText():
            return hash_parts(name, _expression(expression.operand))
        case Joined(operands=operands):
            return hash_parts(name, *(_expression(operand) for operand in operands))
        case Case(branches=branches, otherwise=otherwise):
            tested = (hash_parts(encode_predicate(branch.when), _expression(branch.then)) for branch in branches)
            return hash_parts(name, *tested, _expression(otherwise))
        case _:
            assert_never(expression)


def _constant(value: Constant) -> bytes:
    match value:
        case bool():
            return b"b1" if value else b"b0"
        case str():
            return b"s" + value.encode()
        case int():
            return b"i%d" % value
        case Decimal():
            return b"d" + _plain_decimal(value).encode()
        case float():
            return b"f" + value.hex().encode()
        case datetime():
            return b"t" + value.isoformat().encode()
        case date():
            return b"a" + value.isoformat().encode()
        case _:
            assert_never(value)


def _plain_decimal(value: Decimal) -> str:
    """Write a decimal without trailing zeros; decimal arithmetic would round it to the digits of its context."""
    written = format(value, "f")
    return written.rstrip("0").rstrip(".") if "." in written else written
