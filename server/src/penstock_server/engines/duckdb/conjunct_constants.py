"""The constant side of a condition: from the bound plan to a value, which is proved to be the same.

What a plan holds there is a constant, a cast of one, or a sum of a date and an interval. The sealed instance works it
out; what comes back is printed as a reader will print it, and must then be the same value of the same type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import duckdb

from penstock_server.engines.duckdb import constants
from penstock_server.engines.duckdb.column_tests import copied_type
from penstock_server.engines.duckdb.identifiers import text_literal
from penstock_server.model.predicate import Constant
from penstock_server.model.schema import ColumnType, TypeFamily

_FAMILIES: Final[Mapping[str, TypeFamily]] = {
    "VARCHAR": TypeFamily.TEXT,
    "BOOLEAN": TypeFamily.BOOLEAN,
    "DATE": TypeFamily.DATE,
    "TIMESTAMP": TypeFamily.TIMESTAMP,
    "DECIMAL": TypeFamily.DECIMAL,
    **dict.fromkeys(
        ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
        TypeFamily.INTEGER,
    ),
}
_SUMS: Final = frozenset({"+", "-"})


class NotConstant(Exception):
    """An expression that is not worked out here."""


def type_of(kind: Mapping[str, Any]) -> ColumnType | None:
    """Give a type of a plan as a pinned one; None where no condition on it is copied."""
    name, more = kind["id"], kind.get("type_info")
    family = _FAMILIES.get(name)
    if family is TypeFamily.DECIMAL and more is not None and not more.get("alias"):
        return ColumnType(sql=f"DECIMAL({more['width']},{more['scale']})", family=family)
    # With more to it, it has a collation or is a type of another name.
    return ColumnType(sql=name, family=family) if family is not None and more is None else None


def printed(expression: Mapping[str, Any]) -> str:
    """Print the constant side for the instance that it came from.

    Raises:
        NotConstant: it holds something else than constants, casts of them and sums.
    """
    match expression["expression_class"]:
        case "BOUND_CONSTANT":
            return _constant(expression["value"])
        case "BOUND_FUNCTION":
            children = [printed(child) for child in expression["children"]]
            path = expression["qname"]["path"]
            match path, children:
                case ["__cast"], [inner] if not expression["function_data"]["try_cast"]:
                    kind = type_of(expression["return_type"])
                    if kind is not None:
                        return f"CAST({inner} AS {kind.sql})"
                case ["system", "main", sign], [left, right] if sign in _SUMS:
                    return f"({left} {sign} {right})"
                case _:
                    pass
        case _:
            pass
    raise NotConstant


def _constant(value: Mapping[str, Any]) -> str:
    kind, given = value["type"], value.get("value")
    if value["is_null"]:
        raise NotConstant
    if kind["id"] == "INTERVAL" and isinstance(given, dict):
        parts = (int(given["months"]), int(given["days"]), int(given["micros"]))
        return "(to_months({}) + to_days({}) + to_microseconds({}))".format(*parts)
    column = type_of(kind)
    match given:
        case bool() if column is not None and column.family is TypeFamily.BOOLEAN:
            return "TRUE" if given else "FALSE"
        case str() if column is not None and column.family is TypeFamily.TEXT:
            return text_literal(given)
        case int() if column is not None and not isinstance(given, bool):
            return _number(given, column)
        case _:
            raise NotConstant


def _number(given: int, column: ColumnType) -> str:
    match column.family:
        case TypeFamily.INTEGER:
            return f"CAST({text_literal(str(given))} AS {column.sql})"
        case TypeFamily.DECIMAL:
            scale = int(column.sql.removesuffix(")").rpartition(",")[2])
            return f"CAST({text_literal(format(Decimal(given).scaleb(-scale), 'f'))} AS {column.sql})"
        case TypeFamily.DATE:
            return f"(DATE '1970-01-01' + CAST({given} AS INTEGER))"
        case _:
            raise NotConstant


def worked_out(
    connection: duckdb.DuckDBPyConnection, sides: Sequence[tuple[str, ColumnType]]
) -> tuple[Constant | None, ...]:
    """Give the value of each printed side; None where it is NULL or has no exact form as a value of its type.

    Raises:
        duckdb.Error: one of them cannot be worked out.
    """
    if not sides:
        return ()
    (found,) = connection.execute(f"SELECT {', '.join(text for text, _ in sides)}").fetchall()
    values = [_as_constant(value, kind) for value, (_, kind) in zip(found, sides, strict=True)]
    proofs = [
        "FALSE" if literal is None else f"typeof({text}) = typeof({literal}) AND {text} = {literal}"
        for (text, _), literal in zip(sides, map(_literal, values, (kind for _, kind in sides)), strict=True)
    ]
    # Infinite dates and the like come back as something else, or as no date at all.
    (proved,) = connection.execute(f"SELECT {', '.join(proofs)}").fetchall()
    return tuple(value if same is True else None for value, same in zip(values, proved, strict=True))


def _as_constant(value: object, kind: ColumnType) -> Constant | None:
    if value is None or not copied_type(kind):
        return None
    return value if isinstance(value, Constant) and not isinstance(value, float) else None


def _literal(value: Constant | None, kind: ColumnType) -> str | None:
    if value is None:
        return None
    try:
        return constants.plain_literal(value, kind)
    except ValueError:
        return None
