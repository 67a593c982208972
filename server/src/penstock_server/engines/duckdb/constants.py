"""Constants of predicates and masks, printed exactly in the type of their column.

A constant is first brought to the units of the column's type: whole numbers, unscaled decimals, days, ticks of a
timestamp. Where it lies between two units or outside of the type, the comparison is moved to the nearest unit, so the
engine never converts the column: a conversion could round a hidden cell, or fail on it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from penstock_server.engines.duckdb.identifiers import text_literal
from penstock_server.model.predicate import Comparison, Constant
from penstock_server.model.schema import ColumnType, TypeFamily

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAYS_IN_400_YEARS = 146_097
_YEAR_10000 = 253_402_300_800

_BITS = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64, "HUGEINT": 128}
_TICKS_PER_SECOND = {"TIMESTAMP_S": 1, "TIMESTAMP_MS": 1000, "TIMESTAMP_NS": 10**9}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """The ordered, countable values of a type: from `least` to `greatest`, `per_one` of them to a whole."""

    sql_type: str
    least: int
    greatest: int
    per_one: int


def units(kind: ColumnType) -> Units | None:
    """Give the units of a type, or None where values are not countable (text, floats, booleans).

    Raises:
        ValueError: no constant can be compared with this type.
    """
    match kind.family:
        case TypeFamily.INTEGER:
            return _integer_units(kind.sql)
        case TypeFamily.DECIMAL:
            return _decimal_units(kind.sql)
        case TypeFamily.DATE:
            # DuckDB: dates reach from 5877642-06-25 BC to 5881580-07-10 (2.0.0); a Python date lies well within.
            return Units(sql_type="DATE", least=-(2**31) + 2, greatest=2**31 - 2, per_one=1)
        case TypeFamily.TIMESTAMP | TypeFamily.TIMESTAMP_TZ:
            ticks = _TICKS_PER_SECOND.get(kind.sql, 10**6)
            return Units(sql_type=kind.sql, least=-(2**63) + 2, greatest=2**63 - 2, per_one=ticks)
        case TypeFamily.TEXT | TypeFamily.FLOAT | TypeFamily.BOOLEAN:
            return None
        case TypeFamily.OTHER:
            raise ValueError(f"no constant can be compared with {kind.sql}")


def _integer_units(sql: str) -> Units:
    unsigned = sql.startswith("U")
    bits = _BITS[sql.removeprefix("U")]
    if unsigned:
        return Units(sql_type=sql, least=0, greatest=2**bits - 1, per_one=1)
    return Units(sql_type=sql, least=-(2 ** (bits - 1)), greatest=2 ** (bits - 1) - 1, per_one=1)


def _decimal_units(sql: str) -> Units:
    match = _DECIMAL.fullmatch(sql)
    if match is None:
        raise ValueError(f"{sql} is no DECIMAL")
    width, scale = int(match[1]), int(match[2])
    return Units(sql_type=sql, least=-(10**width) + 1, greatest=10**width - 1, per_one=10**scale)


def position(value: Constant, of: Units) -> Fraction:
    """Give where a constant stands among the units of a type; a fraction lies between two of them.

    Raises:
        ValueError: the constant has not the Python type of this family.
    """
    match value:
        case bool() | str():
            pass
        case int() | Decimal():
            return Fraction(value) * of.per_one
        case datetime():
            aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
            if (value.tzinfo is not None) != (of.sql_type == "TIMESTAMP WITH TIME ZONE"):
                raise ValueError("a time zone stands exactly with TIMESTAMP WITH TIME ZONE")
            return Fraction((aware - _EPOCH) // _MICROSECOND, 10**6) * of.per_one
        case date():
            return Fraction((value - _EPOCH.date()).days)
        case float():
            pass
    raise ValueError(f"a {type(value).__name__} cannot be compared with {of.sql_type}")


def unit_literal(number: int, of: Units) -> str:
    """Print the value that stands at a unit, in exactly this type."""
    return f"CAST({text_literal(unit_text(number, of))} AS {of.sql_type})"


def unit_text(number: int, of: Units) -> str:
    """Give the text that the engine reads as exactly the value at a unit."""
    if of.sql_type == "DATE":
        return date.fromordinal(number + _EPOCH.date().toordinal()).isoformat()
    return _instant(number, of) if of.sql_type.startswith("TIMESTAMP") else _scaled(number, of.per_one)


def _instant(number: int, of: Units) -> str:
    seconds, ticks = divmod(number, of.per_one)
    # A constant just below the year 10000 is moved into it, where Python has no dates; the calendar repeats.
    cycles = 1 if seconds >= _YEAR_10000 else 0
    moment = _EPOCH + timedelta(days=-cycles * _DAYS_IN_400_YEARS, seconds=seconds)
    digits = len(str(of.per_one)) - 1
    text = f"{moment.year + 400 * cycles:04d}-{moment:%m-%d %H:%M:%S}" + (f".{ticks:0{digits}d}" if digits else "")
    return f"{text}+00" if of.sql_type == "TIMESTAMP WITH TIME ZONE" else text


def _scaled(number: int, per_one: int) -> str:
    whole, rest = divmod(abs(number), per_one)
    digits = len(str(per_one)) - 1
    return ("-" if number < 0 else "") + str(whole) + (f".{rest:0{digits}d}" if digits else "")


def moved(op: Comparison, value: Fraction, of: Units) -> tuple[Comparison, int] | None:
    """Bring an order comparison or an equality to units.

    Gives the operator and the unit to compare with; None where no value of the type is equal (`=` and `<>` only).
    """
    low, high = math.floor(value), math.ceil(value)
    match op:
        case Comparison.EQUAL | Comparison.NOT_EQUAL:
            return (op, low) if low == high and of.least <= low <= of.greatest else None
        case Comparison.LESS | Comparison.LESS_OR_EQUAL:
            exact = Comparison.LESS if op is Comparison.LESS and low == high else Comparison.LESS_OR_EQUAL
            if low > of.greatest:
                return Comparison.LESS_OR_EQUAL, of.greatest
            return (Comparison.LESS, of.least) if low < of.least else (exact, low)
        case Comparison.GREATER | Comparison.GREATER_OR_EQUAL:
            exact = Comparison.GREATER if op is Comparison.GREATER and low == high else Comparison.GREATER_OR_EQUAL
            if high < of.least:
                return Comparison.GREATER_OR_EQUAL, of.least
            return (Comparison.GREATER, of.greatest) if high > of.greatest else (exact, high)


def float_literal(value: Constant) -> str:
    """Print a floating-point constant as a DOUBLE, exactly."""
    return f"CAST({text_literal(float_text(value))} AS DOUBLE)"


def float_text(value: Constant) -> str:
    """Give the text that the engine reads as exactly this floating-point number.

    Raises:
        ValueError: not a number, or NaN: no comparison with NaN has a meaning here.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("not a number")  # noqa: TRY004 - one error for every constant that does not fit
    number = float(value)
    if math.isnan(number):
        raise ValueError("NaN in a predicate")
    return repr(number)


def plain_literal(value: Constant, kind: ColumnType) -> str:
    """Print a constant in the type of a column: what a mask shows.

    Raises:
        ValueError: the constant is no value of this type.
    """
    match kind.family:
        case TypeFamily.TEXT if isinstance(value, str):
            return text_literal(value)
        case TypeFamily.BOOLEAN if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        case TypeFamily.FLOAT:
            return f"CAST({float_literal(value)} AS {kind.sql})"
        case _:
            of = units(kind)
    if of is None:
        raise ValueError(f"a {type(value).__name__} is no {kind.sql}")
    exact = moved(Comparison.EQUAL, position(value, of), of)
    if exact is None:
        raise ValueError(f"the constant is no value of {kind.sql}")
    return unit_literal(exact[1], of)
