"""Values as points on the scale of their type: what is between two constants, and how a point reads.

Whole numbers, decimals, days and truth values are whole steps from zero; floating point numbers are counted in
representable steps; instants are dense, as catalogs hold microseconds, nanoseconds and finer; texts order by code
points. INVARIANT: a scale has at least the values that the type can hold in any engine, dates after 9999 among them.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, auto
from fractions import Fraction
from typing import Final

from penstock_server.model.predicate import Constant
from penstock_server.model.schema import ColumnType, TypeFamily

Point = int | Fraction | str
"""A value that is neither NULL nor NaN."""


class Special(Enum):
    """Values that are on no scale."""

    NAN = auto()


Cell = Point | Special | None
"""The value of a cell; None is NULL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """A scale of whole steps; None = no bound. `nice` gives points that read well between two others."""

    low: int | None
    high: int | None
    nice: Callable[[int | None, int | None], Iterable[int]]

    def holds(self, point: Point) -> bool:
        """Tell whether the type has this value."""
        return (
            isinstance(point, int)
            and (self.low is None or self.low <= point)
            and (self.high is None or point <= self.high)
        )

    def between(self, below: Point | None, above: Point | None, taken: Collection[Point]) -> Point | None:
        """Give a value strictly between two points (None = no bound) that is not taken, or None if there is none."""
        first, last = self.low, self.high
        if below is not None:
            # A constant may lie between two steps.
            after = math.floor(Fraction(below)) + 1
            first = after if first is None else max(first, after)
        if above is not None:
            before = math.ceil(Fraction(above)) - 1
            last = before if last is None else min(last, before)
        if first is not None and last is not None and first > last:
            return None
        for candidate in self.nice(None if below is None else first, None if above is None else last):
            inside = (first is None or first <= candidate) and (last is None or candidate <= last)
            if inside and candidate not in taken:
                return candidate
        if below is None and last is not None:
            return _first_free(last, -1, (first, last), taken)
        return _first_free(first if first is not None else 0, 1, (first, last), taken)


def _first_free(start: int, step: int, ends: tuple[int | None, int | None], taken: Collection[Point]) -> int | None:
    """Give the first free step from an end on; at most one more step than are taken is tried."""
    first, last = ends
    candidate = start
    while candidate in taken:
        candidate += step
    if (last is not None and candidate > last) or (first is not None and candidate < first):
        return None
    return candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """A scale with a value between any two; `unit` is a step that reads well."""

    unit: int

    def holds(self, point: Point) -> bool:
        """Every value is there."""
        return isinstance(point, int | Fraction)

    def between(self, below: Point | None, above: Point | None, taken: Collection[Point]) -> Point | None:
        """Give a value strictly between two points (None = no bound) that is not taken; there always is one."""
        low = None if below is None else Fraction(below)
        high = None if above is None else Fraction(above)
        if low is not None and high is not None:
            return self._within(low, high, taken)
        start, step = (high, -self.unit) if high is not None else (low if low is not None else Fraction(0), self.unit)
        candidate = Fraction(start + step)
        while candidate in taken:
            candidate += step
        return candidate

    def _within(self, low: Fraction, high: Fraction, taken: Collection[Point]) -> Fraction:
        whole = Fraction(math.floor(low / self.unit) + 1) * self.unit
        if low < whole < high and whole not in taken:
            return whole
        whole = Fraction(math.floor(low) + 1)
        if low < whole < high and whole not in taken:
            return whole
        candidate = (low + high) / 2
        while candidate in taken:
            candidate = (low + candidate) / 2
        return candidate


Scale = Steps | Dense

_INTEGER_BITS: Final = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64, "HUGEINT": 128}
_DECIMAL: Final = re.compile(r"DECIMAL\(([0-9]{1,2}),\s*([0-9]{1,2})\)", re.ASCII)
_SINGLE: Final = frozenset({"FLOAT", "REAL", "FLOAT4"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = 86_400_000_000


def scale_of(kind: ColumnType) -> Scale | None:
    """Give the scale of a column's type; None for text, and for types that no constant is compared with."""
    match kind.family:
        case TypeFamily.INTEGER:
            low, high = _integer_bounds(kind.sql)
            return Steps(low=low, high=high, nice=_nice_whole(1))
        case TypeFamily.DECIMAL:
            match = _DECIMAL.fullmatch(kind.sql)
            if match is None:
                return Dense(unit=1)
            limit = 10 ** int(match[1]) - 1
            return Steps(low=-limit, high=limit, nice=_nice_whole(10 ** int(match[2])))
        case TypeFamily.FLOAT:
            single = kind.sql in _SINGLE
            end = _float_step(math.inf, single=single)
            return Steps(low=-end, high=end, nice=_nice_float(single=single))
        case TypeFamily.BOOLEAN:
            return Steps(low=0, high=1, nice=lambda _first, _last: (1, 0))
        case TypeFamily.DATE:
            return Steps(low=None, high=None, nice=_nice_date)
        case TypeFamily.TIMESTAMP | TypeFamily.TIMESTAMP_TZ:
            return Dense(unit=_DAY)
        case _:
            return None


def point_of(constant: Constant, kind: ColumnType) -> Point:
    """Give the point of a constant that was bound to a column of this type.

    Raises:
        TypeError: the constant is not of the column's type.
    """
    match kind.family, constant:
        case TypeFamily.TEXT, str():
            return constant
        case TypeFamily.BOOLEAN, bool():
            return int(constant)
        case TypeFamily.INTEGER, int() if not isinstance(constant, bool):
            return constant
        case TypeFamily.DECIMAL, Decimal():
            return _decimal_point(constant, kind.sql)
        case TypeFamily.FLOAT, float() if not math.isnan(constant):
            return _float_point(constant, single=kind.sql in _SINGLE)
        case TypeFamily.TIMESTAMP, datetime() if constant.tzinfo is None:
            return instant_point(constant.replace(tzinfo=UTC))
        case TypeFamily.TIMESTAMP_TZ, datetime() if constant.tzinfo is not None:
            return instant_point(constant)
        case TypeFamily.DATE, date() if not isinstance(constant, datetime):
            return constant.toordinal()
        case _:
            raise TypeError(f"a constant of type {type(constant).__name__} beside a column of type {kind.sql}")


def instant_point(instant: datetime) -> int:
    """Give the microseconds since 1970 of an aware instant."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def instant_of(point: Point) -> datetime:
    """Give the instant of a point, cut to microseconds and to the years that Python has."""
    microseconds = math.floor(Fraction(point))
    low = instant_point(datetime.min.replace(tzinfo=UTC))
    high = instant_point(datetime.max.replace(tzinfo=UTC))
    return _EPOCH + timedelta(microseconds=min(max(microseconds, low), high))


def shown(cell: Cell, kind: ColumnType) -> str:
    """Write a value as a filter would."""
    if cell is None:
        return "NULL"
    if isinstance(cell, Special):
        return "NaN"
    if isinstance(cell, str):
        return "'" + cell.replace("'", "''") + "'"
    match kind.family:
        case TypeFamily.BOOLEAN:
            return "TRUE" if cell else "FALSE"
        case TypeFamily.DECIMAL:
            return _shown_decimal(cell, kind.sql)
        case TypeFamily.FLOAT:
            return repr(_float_value(int(cell), single=kind.sql in _SINGLE))
        case TypeFamily.DATE:
            return _shown_date(int(cell))
        case TypeFamily.TIMESTAMP | TypeFamily.TIMESTAMP_TZ:
            return _shown_instant(Fraction(cell), zoned=kind.family is TypeFamily.TIMESTAMP_TZ)
        case _:
            return str(cell)


def _integer_bounds(sql: str) -> tuple[int | None, int | None]:
    unsigned = sql.startswith("U")
    bits = _INTEGER_BITS.get(sql.removeprefix("U"))
    if bits is None:
        return None, None
    return (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _decimal_point(constant: Decimal, sql: str) -> Point:
    match = _DECIMAL.fullmatch(sql)
    steps = Fraction(constant) * (10 ** int(match[2]) if match is not None else 1)
    # A constant between two steps is kept as it is: the order stays right, and nothing equals it.
    return steps.numerator if match is not None and steps.denominator == 1 else steps


def _nice_whole(unit: int) -> Callable[[int | None, int | None], Iterable[int]]:
    def nice(first: int | None, last: int | None) -> Iterable[int]:
        if first is None and last is None:
            return (unit, 0)
        if first is None:
            return ((last or 0) // unit * unit,)
        return (unit, 0, -(-first // unit) * unit)

    return nice


def _nice_date(first: int | None, last: int | None) -> Iterable[int]:
    return (date(2024, 1, 1).toordinal(),) if first is None and last is None else ()


def _nice_float(*, single: bool) -> Callable[[int | None, int | None], Iterable[int]]:
    def nice(first: int | None, last: int | None) -> Iterable[int]:
        low = -math.inf if first is None else _float_value(first, single=single)
        high = math.inf if last is None else _float_value(last, single=single)
        candidates = [1.0, 0.0]
        if math.isfinite(low):
            candidates += [math.floor(low) + 1.0, low + (high - low) / 2 if math.isfinite(high) else low + 1.0]
        elif math.isfinite(high):
            candidates += [math.ceil(high) - 1.0]
        return tuple(_float_step(candidate, single=single) for candidate in candidates if math.isfinite(candidate))

    return nice


def _float_point(constant: float, *, single: bool) -> Point:
    step = _float_step(constant, single=single)
    held = _float_value(step, single=single)
    if held == constant:
        return step
    # A constant between two numbers of a narrower type is kept there: the order stays right, and nothing equals it.
    return Fraction(step) + (Fraction(1, 2) if held < constant else Fraction(-1, 2))


def _float_step(value: float, *, single: bool) -> int:
    """Give the place of a number among all representable ones; zero is 0, whatever its sign."""
    kind, size, sign = ("<f", "<I", 1 << 31) if single else ("<d", "<Q", 1 << 63)
    try:
        bits = int(struct.unpack(size, struct.pack(kind, value))[0])
    except OverflowError:
        bits = int(struct.unpack(size, struct.pack(kind, math.copysign(math.inf, value)))[0])
    return -(bits - sign) if bits & sign else bits


def _float_value(step: int, *, single: bool) -> float:
    kind, size, sign = ("<f", "<I", 1 << 31) if single else ("<d", "<Q", 1 << 63)
    return float(struct.unpack(kind, struct.pack(size, step if step >= 0 else sign - step))[0])


def _shown_decimal(cell: int | Fraction, sql: str) -> str:
    match = _DECIMAL.fullmatch(sql)
    if match is None or not isinstance(cell, int):
        return str(cell)
    return format(Decimal(cell).scaleb(-int(match[2])), "f")


def _shown_date(ordinal: int) -> str:
    if ordinal < date.min.toordinal():
        return "a date before 0001-01-01"
    if ordinal > date.max.toordinal():
        return "a date after 9999-12-31"
    return f"DATE '{date.fromordinal(ordinal).isoformat()}'"


def _shown_instant(point: Fraction, *, zoned: bool) -> str:
    instant = instant_of(point)
    text = (instant if zoned else instant.replace(tzinfo=None)).isoformat(sep=" ")
    exact = instant_point(instant) == point
    return f"TIMESTAMP '{text}'" if exact else f"an instant just after TIMESTAMP '{text}'"
