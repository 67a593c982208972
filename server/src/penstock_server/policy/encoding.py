"""Bytes that stand for predicates, masks and schemas: equal bytes mean equal meaning, which fingerprints rely on.

INVARIANT: every constant carries its type, every list its length; AND, OR and their like are encoded in the order of
their operands' bytes, as nothing depends on it.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import assert_never

from penstock_server.model.decision import GovernedTable, Mask
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
from penstock_server.policy.canonical import hash_parts


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
    columns = (
        hash_parts(
            governed.column.name.encode(),
            *(hash_parts(encode_predicate(case.when), _mask(case.mask)) for case in governed.cases),
        )
        for governed in table.columns
    )
    rows = sorted(encode_predicate(predicate) for predicate in table.rows)
    return hash_parts(b"relation 1", schema, hash_parts(*rows), hash_parts(*columns))


def _mask(mask: Mask | None) -> bytes:
    """What a mask shows; its name and rank shape nothing."""
    if mask is None:
        return b"clear"
    return hash_parts(b"mask", *(b"" if c is None else _constant(c) for c in (mask.when_null, mask.otherwise)))


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
