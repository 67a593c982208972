"""Conversions between types that no value can make fail, and that give each value always the same result."""

from __future__ import annotations

from typing import Final

from penstock_server.model.schema import ColumnType, TypeFamily

_TO_TEXT: Final = frozenset(TypeFamily) - {TypeFamily.OTHER}
_BITS: Final = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64, "HUGEINT": 128}


def always_converts(source: ColumnType, target: ColumnType) -> bool:
    """Tell whether every value of `source` is a value of `target`, or has exactly one text where that is VARCHAR.

    Rounding counts as failing: BIGINT to DOUBLE is none of them, INTEGER to DOUBLE is one.
    """
    if source.sql == target.sql:
        return True
    if target.family is TypeFamily.TEXT:
        return source.family in _TO_TEXT or source.sql == "UUID"
    if source.family is TypeFamily.INTEGER and target.family is TypeFamily.INTEGER:
        return _fits(source.sql, target.sql)
    if target.sql == "DOUBLE":
        return source.sql in {"FLOAT", "TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER"}
    return False


def _fits(source: str, target: str) -> bool:
    if target.startswith("U"):
        return source.startswith("U") and _bits(source) <= _bits(target)
    spare = 1 if source.startswith("U") else 0
    return _bits(source) + spare <= _bits(target)


def _bits(sql: str) -> int:
    return _BITS[sql.removeprefix("U")]
