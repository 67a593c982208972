"""Constants by the type of their column: our own strict parser, never an engine's cast.

An engine finds `10 = '10.4'` and `true = 'yes'` TRUE; here a constant either is exactly of the column's type, or it is
refused.
"""

from __future__ import annotations

import math
import re
import struct
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Context, Decimal
from typing import Final

from penstock_server.model.predicate import Constant
from penstock_server.model.schema import ColumnType, TypeFamily
from penstock_server.policy.filters.nodes import Literal, LiteralKind
from penstock_server.policy.filters.tokens import ExpressionError

_INTEGER_BITS: Final = {
    "TINYINT": 8,
    "SMALLINT": 16,
    "INTEGER": 32,
    "BIGINT": 64,
    "HUGEINT": 128,
}
_DECIMAL: Final = re.compile(r"DECIMAL\(([0-9]{1,2}),\s*([0-9]{1,2})\)", re.ASCII)
_WHOLE: Final = re.compile(r"-?[0-9]+", re.ASCII)
_POINTED: Final = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)", re.ASCII)
_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", re.ASCII)
_TIMESTAMP: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[ T]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6}))?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?",
    re.ASCII,
)
# More digits than the longest expression has characters: no constant is ever rounded by decimal arithmetic.
_EXACT: Final = Context(prec=4096)
_FAR: Final = re.compile(r"[eE][+-]?[0-9]{5,}$", re.ASCII)

_MICROSECONDS: Final = {"TIMESTAMP_S": 1_000_000, "TIMESTAMP_MS": 1_000}
_NANOSECOND_YEARS: Final = range(1678, 2262)
"""Years whose every instant has a number of nanoseconds since 1970 in 64 bits."""

_WRITTEN_AS: Final = {
    TypeFamily.TEXT: "a text in single quotes",
    TypeFamily.INTEGER: "a whole number",
    TypeFamily.DECIMAL: "a number",
    TypeFamily.FLOAT: "a number",
    TypeFamily.BOOLEAN: "TRUE or FALSE",
    TypeFamily.DATE: "DATE 'YYYY-MM-DD'",
    TypeFamily.TIMESTAMP: "TIMESTAMP 'YYYY-MM-DD HH:MM:SS'",
    TypeFamily.TIMESTAMP_TZ: "TIMESTAMP 'YYYY-MM-DD HH:MM:SS+00:00'",
}
_KINDS: Final = {
    TypeFamily.TEXT: LiteralKind.TEXT,
    TypeFamily.INTEGER: LiteralKind.NUMBER,
    TypeFamily.DECIMAL: LiteralKind.NUMBER,
    TypeFamily.FLOAT: LiteralKind.NUMBER,
    TypeFamily.BOOLEAN: LiteralKind.BOOLEAN,
    TypeFamily.DATE: LiteralKind.DATE,
    TypeFamily.TIMESTAMP: LiteralKind.TIMESTAMP,
    TypeFamily.TIMESTAMP_TZ: LiteralKind.TIMESTAMP,
}


def constant_of(literal: Literal, kind: ColumnType, *, column: str, exact: bool) -> Constant:
    """Give the constant that a literal means beside a column of this type.

    `exact` is asked for by tests for equality: a FLOAT constant must then be representable, else it is rounded.

    Raises:
        ExpressionError: the literal is not of the column's type, or does not fit it; names column and type.
    """
    if kind.family not in _KINDS:
        raise ExpressionError(
            f"`{column}` is {kind.sql}, which is compared with no constant; IS NULL and IS NOT NULL only",
            literal.position,
        )
    if literal.kind is not _KINDS[kind.family]:
        raise ExpressionError(
            f"`{column}` is {kind.sql} and this is {literal.kind.value}; write {_WRITTEN_AS[kind.family]}",
            literal.position,
        )
    try:
        return _typed(literal.text, kind, exact=exact)
    except ValueError as error:
        raise ExpressionError(f"`{column}` is {kind.sql}: {error}", literal.position) from error


def constant_of_claim(value: str, kind: ColumnType) -> Constant | None:
    """Give the constant that the text of a claim means beside a column, or None where it does not fit exactly.

    Only for families of `CLAIM_FAMILIES`. `07`, `+7`, ` 7`, `7.0` are no whole numbers; `TRUE` is no truth value.
    """
    try:
        match kind.family:
            case TypeFamily.TEXT:
                return _text(value)
            case TypeFamily.INTEGER if re.fullmatch(r"0|-?[1-9][0-9]*", value, re.ASCII):
                return _integer(value, kind.sql)
            case TypeFamily.BOOLEAN if value in {"true", "false"}:
                return value == "true"
            case TypeFamily.DATE:
                return _date(value)
            case _:
                return None
    except ValueError:
        return None


def require_fit(value: Constant, kind: ColumnType) -> None:
    """Require that a column of this type can hold a value of its family.

    Raises:
        ValueError: it is outside the range of the type, or has more digits; the text says which.
    """
    match value:
        case bool() | str():
            return
        case int():
            _integer(str(value), kind.sql)
        case Decimal():
            _decimal(format(value, "f"), kind.sql)
        case _:
            return


CLAIM_FAMILIES: Final = frozenset({TypeFamily.TEXT, TypeFamily.INTEGER, TypeFamily.BOOLEAN, TypeFamily.DATE})
"""Families of columns that a claim may be compared with."""


def _typed(text: str, kind: ColumnType, *, exact: bool) -> Constant:
    match kind.family:
        case TypeFamily.TEXT:
            return _text(text)
        case TypeFamily.INTEGER:
            return _integer(text, kind.sql)
        case TypeFamily.DECIMAL:
            return _decimal(text, kind.sql)
        case TypeFamily.FLOAT:
            return _float(text, kind.sql, exact=exact)
        case TypeFamily.BOOLEAN:
            return text == "TRUE"
        case TypeFamily.DATE:
            return _date(text)
        case TypeFamily.TIMESTAMP:
            return _timestamp(text, kind.sql, zoned=False)
        case TypeFamily.TIMESTAMP_TZ:
            return _timestamp(text, kind.sql, zoned=True)
        case _:
            raise ValueError("it is compared with no constant")


def _text(text: str) -> str:
    if "\0" in text or any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise ValueError("a NUL character and half a character are not accepted")
    return text


def _integer(text: str, sql: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"`{text}` is not a whole number")
    number = int(text)
    unsigned = sql.startswith("U")
    bits = _INTEGER_BITS.get(sql.removeprefix("U"))
    if bits is not None:
        low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        if not low <= number <= high:
            raise ValueError(f"`{text}` is outside its range")
    return number


def _decimal(text: str, sql: str) -> Decimal:
    match = _DECIMAL.fullmatch(sql)
    if match is None:
        raise ValueError("its precision is not known")
    if not _POINTED.fullmatch(text):
        raise ValueError(f"`{text}` is not a plain decimal number; write it without an exponent")
    precision, scale = int(match[1]), int(match[2])
    number = _EXACT.create_decimal(text)
    if not number:
        return Decimal(0)
    _, digits, exponent = number.normalize(_EXACT).as_tuple()
    if not isinstance(exponent, int) or -exponent > scale:
        raise ValueError(f"`{text}` has more than {scale} digits after the point")
    if len(digits) + exponent > precision - scale:
        raise ValueError(f"`{text}` is outside its range")
    return number.quantize(Decimal(1).scaleb(-scale), context=_EXACT)


def _float(text: str, sql: str, *, exact: bool) -> float:
    if _FAR.search(text):
        raise ValueError(f"`{text}` is outside its range")
    number = float(text)
    if sql in {"FLOAT", "REAL", "FLOAT4"}:
        try:
            number = float(struct.unpack("<f", struct.pack("<f", number))[0])
        except OverflowError:
            number = math.inf
    if math.isinf(number):
        raise ValueError(f"`{text}` is outside its range")
    if exact and Decimal(number) != _EXACT.create_decimal(text):
        raise ValueError(
            f"`{text}` has no exact binary form, so equality would depend on the engine; compare with < and >"
        )
    return number + 0.0  # -0.0 becomes 0.0: the two are equal everywhere


def _date(text: str) -> date:
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError(f"`{text}` is not a date; write YYYY-MM-DD")
    try:
        return date(*map(int, match.groups()))
    except ValueError as error:
        raise ValueError(f"`{text}` is no day of the calendar") from error


def _timestamp(text: str, sql: str, *, zoned: bool) -> datetime:
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise ValueError(f"`{text}` is not an instant; write YYYY-MM-DD HH:MM:SS{'+00:00' if zoned else ''}")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    if zoned != (zone is not None):
        raise ValueError(f"`{text}` needs a zone such as +00:00" if zoned else f"`{text}` may not have a zone")
    try:
        instant = datetime(  # noqa: DTZ001 - the zone follows, where the type has one
            int(year), int(month), int(day), int(hour), int(minute), int(second), int((fraction or "0").ljust(6, "0"))
        )
        instant = instant.replace(tzinfo=_zone(zone)).astimezone(UTC) if zone is not None else instant
    except (ValueError, OverflowError) as error:
        raise ValueError(f"`{text}` is no instant of the calendar") from error
    if instant.microsecond % _MICROSECONDS.get(sql, 1):
        raise ValueError(f"`{text}` is finer than its values")
    if sql == "TIMESTAMP_NS" and instant.year not in _NANOSECOND_YEARS:
        raise ValueError(f"`{text}` is outside its range")
    return instant


def _zone(zone: str) -> timezone:
    if zone == "Z":
        return UTC
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
    return timezone(-offset if zone[0] == "-" else offset)
