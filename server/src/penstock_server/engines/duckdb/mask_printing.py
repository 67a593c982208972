"""Masks printed as what a source reader computes from one cell. Total: no value of the type can make them fail.

DuckDB: CASE gives the branches below only the rows that reach them, and nothing moves out of a branch (2.0.0); where
an operation has values on which it fails, the CASE around it keeps them away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from penstock_server.engines.duckdb import constants
from penstock_server.engines.duckdb.identifiers import text_literal
from penstock_server.model.conversions import always_converts
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
    MaskKey,
    PartialForm,
    Period,
    QueryDigestForm,
    RoundedForm,
    TruncatedForm,
)
from penstock_server.model.predicate import Constant, Predicate
from penstock_server.model.schema import ColumnType, TypeFamily

_TEXT: Final = ColumnType(sql="VARCHAR", family=TypeFamily.TEXT)
_BLOCK_BYTES: Final = 64
"""Block of SHA-256, to which HMAC fills up its key. Source: RFC 2104."""

_FIRST_STARTS: Final[dict[str, tuple[str, str]]] = {
    "DATE": ("5877641-01-01 (BC)", "5877642-07-01 (BC)"),
    "TIMESTAMP_NS": ("1678-01-01 00:00:00", "1677-10-01 00:00:00"),
}
"""The first year and the first month that begin within a type."""
_FIRST_STARTS_OF_TIMESTAMP: Final = ("290308-01-01 (BC) 00:00:00", "290308-01-01 (BC) 00:00:00")
_LAST_TIMESTAMP: Final = "294247-01-10 04:00:54"
"""DuckDB: TIMESTAMP_S and TIMESTAMP_MS reach further than TIMESTAMP, in which it computes (2.0.0)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedCell:
    """One cell: `sql` gives its value, which is of `source`; `test` prints a test of a mask's expression over it."""

    sql: str
    source: ColumnType
    test: Callable[[Predicate], str]

    def shown_as(self, kind: ColumnType) -> str:
        """Print the value in a type to which every value of the source can be converted.

        Raises:
            ValueError: some value cannot.
        """
        if self.source.sql == kind.sql:
            return self.sql
        if not always_converts(self.source, kind):
            raise ValueError(f"a value of {self.source.sql} may have no {kind.sql}")
        return f"CAST({self.sql} AS {kind.sql})"

    def masked(self, mask: Mask) -> str:
        """Print what a mask shows instead of the value.

        Raises:
            ValueError: the mask does not go with the type, or has no salt yet: nothing may be read.
        """
        match mask.form:
            case ConstantForm(when_null=when_null, otherwise=otherwise):
                return self._constant(when_null, otherwise, mask.type)
            case ExpressionForm(expression=expression):
                return f"CAST({self._computed(expression, mask.type)} AS {mask.type.sql})"
            case _ if mask.type.sql != self.source.sql:
                raise ValueError(f"the mask of a {self.source.sql} cannot be {mask.type.sql}")
            case TruncatedForm(period=period):
                return self._truncated(period)
            case RoundedForm(to=to):
                return self._rounded(to)
            case GlobalDigestForm():
                return self._digest(b"")
            case QueryDigestForm(salt=salt):
                return self._digest(_salt(salt))
            case _:
                return self._text_masked(mask.form)

    def _text_masked(self, form: PartialForm | AlphanumericForm | KeyedHashForm) -> str:
        if self.source.family is not TypeFamily.TEXT:
            raise ValueError(f"the mask of a {self.source.sql} cannot be one of text")
        match form:
            case PartialForm():
                return self._partial(form)
            case AlphanumericForm():
                return self._alphanumeric(form)
            case KeyedHashForm(key=key):
                return _hmac(self.sql, key.secret.reveal().encode())

    def _constant(self, when_null: Constant | None, otherwise: Constant | None, kind: ColumnType) -> str:
        null, other = _constant(when_null, kind), _constant(otherwise, kind)
        return null if null == other else f"CASE WHEN {self.sql} IS NULL THEN {null} ELSE {other} END"

    def _partial(self, form: PartialForm) -> str:
        text, kept, filler = self.sql, form.keep_first + form.keep_last, text_literal(form.filler)
        parts = (
            [f"left({text}, {form.keep_first})"] if form.keep_first else [],
            [f"repeat({filler}, length({text}) - {kept})"],
            [f"right({text}, {form.keep_last})"] if form.keep_last else [],
        )
        shown = " || ".join(part for few in parts for part in few)
        return f"CASE WHEN length({text}) <= {kept} THEN repeat({filler}, length({text})) ELSE {shown} END"

    def _alphanumeric(self, form: AlphanumericForm) -> str:
        text = self.sql
        if form.keep_first:
            shown = f"left({text}, {form.keep_first}) || {_alphanumeric(f'substring({text}, {form.keep_first + 1})')}"
            return f"CASE WHEN length({text}) <= {form.keep_first} THEN {text} ELSE {shown} END"
        if form.keep_last:
            hidden = f"left({text}, length({text}) - {form.keep_last})"
            shown = f"{_alphanumeric(hidden)} || right({text}, {form.keep_last})"
            return f"CASE WHEN length({text}) <= {form.keep_last} THEN {text} ELSE {shown} END"
        return _alphanumeric(text)

    def _truncated(self, period: Period) -> str:
        kind, value, index = self.source.sql, self.sql, 0 if period is Period.YEAR else 1
        if self.source.family not in {TypeFamily.DATE, TypeFamily.TIMESTAMP, TypeFamily.TIMESTAMP_TZ}:
            raise ValueError(f"a {kind} has no {period.value}")
        first = _FIRST_STARTS.get(kind, _FIRST_STARTS_OF_TIMESTAMP)[index]
        zone = "+00" if self.source.family is TypeFamily.TIMESTAMP_TZ else ""
        within = [f"isfinite({value})", f"{value} >= CAST({text_literal(first + zone)} AS {kind})"]
        if kind in {"TIMESTAMP_S", "TIMESTAMP_MS"}:
            within.append(f"{value} <= CAST({text_literal(_LAST_TIMESTAMP)} AS {kind})")
        if kind == "DATE":
            # DuckDB: `date_trunc` gives a TIMESTAMP, which reaches less far than DATE and then fails (2.0.0).
            since = f"{'dayofyear' if period is Period.YEAR else 'day'}({value}) - 1"
            shown = f"{value} - CAST({since} AS INTEGER)"
        else:
            # A TIMESTAMP WITH TIME ZONE is cut in UTC: a reader's time zone is UTC.
            shown = f"CAST(date_trunc('{period.value}', CAST({value} AS TIMESTAMP)) AS {kind})"
        return f"CASE WHEN {' AND '.join(within)} THEN {shown} ELSE CAST(NULL AS {kind}) END"

    def _rounded(self, to: Constant) -> str:
        kind, value = self.source.sql, self.sql
        match self.source.family:
            case TypeFamily.INTEGER | TypeFamily.DECIMAL:
                step = constants.plain_literal(to, self.source)
                # The remainder has the sign of the value, so that the difference is never further from zero.
                return f"CAST({value} - {value} % {step} AS {kind})"
            case TypeFamily.FLOAT:
                double = f"CAST({value} AS DOUBLE)"
                shown = f"CAST({double} - {double} % {constants.float_literal(to)} AS {kind})"
                return f"CASE WHEN isfinite({value}) THEN {shown} ELSE CAST(NULL AS {kind}) END"
            case _:
                raise ValueError(f"a {kind} cannot be rounded")

    def _digest(self, salt: bytes) -> str:
        prefix = f"{_blob(salt)} || " if salt else ""
        match self.source.sql:
            case "VARCHAR":
                return f"sha256({prefix}encode({self.sql}))"
            case "BLOB":
                return f"unhex(sha256({prefix}{self.sql}))"
            case "INTEGER" | "BIGINT":
                size = 4 if self.source.sql == "INTEGER" else 8
                # DuckDB: `hex` of a number is that of 64 bits, without leading zeros (2.0.0).
                digits = f"right(lpad(hex(CAST({self.sql} AS BIGINT)), 16, '0'), {2 * size})"
                return _number(f"sha256({prefix}unhex({_turned(digits, size)}))", size, self.source.sql)
            case kind:
                raise ValueError(f"a {kind} has no digest")

    def _computed(self, expression: MaskExpression, kind: ColumnType) -> str:
        """Print an expression; `kind` is the type of constants in it, and of the value where that is shown."""
        match expression:
            case Fixed(value=value):
                return _constant(value, kind)
            case Value():
                return self.shown_as(kind)
            case ValueAsText():
                return self.shown_as(_TEXT)
            case Case(branches=branches, otherwise=otherwise):
                tests = " ".join(
                    f"WHEN ({self.test(branch.when)}) IS TRUE THEN {self._computed(branch.then, kind)}"
                    for branch in branches
                )
                return f"CASE {tests} ELSE {self._computed(otherwise, kind)} END"
            case _:
                return self._of_text(expression)

    def _of_text(self, expression: First | Last | Part | LowerCase | UpperCase | Joined | Length | LengthAsText) -> str:
        if isinstance(expression, Joined):
            return f"({' || '.join(self._computed(operand, _TEXT) for operand in expression.operands)})"
        text = self._computed(expression.operand, _TEXT)
        match expression:
            case First(count=count):
                return f"left({text}, {count})"
            case Last(count=count):
                return f"right({text}, {count})"
            case Part(start=start, count=count):
                return f"substring({text}, {start})" if count is None else f"substring({text}, {start}, {count})"
            case LowerCase():
                return f"lower({text})"
            case UpperCase():
                return f"upper({text})"
            case Length():
                return f"length({text})"
            case LengthAsText():
                return f"CAST(length({text}) AS VARCHAR)"


def _constant(value: Constant | None, kind: ColumnType) -> str:
    return f"CAST({'NULL' if value is None else constants.plain_literal(value, kind)} AS {kind.sql})"


def _alphanumeric(text: str) -> str:
    # A character for each code point; a range of a pattern is one of code points, not of a collation.
    return f"translate(regexp_replace({text}, '[^0-9(),.@-]', 'x', 'g'), '0123456789', 'nnnnnnnnnn')"


def _salt(salt: MaskKey | None) -> bytes:
    if salt is None:
        raise ValueError("a mask that lives for one statement has no salt")
    return salt.secret.reveal().encode()


def _hmac(text: str, key: bytes) -> str:
    """Print HMAC-SHA-256 over the UTF-8 of a text, of which DuckDB has the hash only (2.0.0)."""
    padded = (key if len(key) <= _BLOCK_BYTES else hashlib.sha256(key).digest()).ljust(_BLOCK_BYTES, b"\0")
    inner, outer = (_blob(bytes(byte ^ mark for byte in padded)) for mark in (0x36, 0x5C))
    return f"sha256({outer} || unhex(sha256({inner} || encode({text}))))"


def _blob(raw: bytes) -> str:
    return f"unhex('{raw.hex()}')"


def _turned(digits: str, size: int) -> str:
    """Print so many bytes in hex with their order turned round; `digits` is computed once for each cell."""
    references = "".join(f"\\{group}" for group in range(size, 0, -1))
    return f"regexp_replace({digits}, '{'(..)' * size}', '{references}')"


def _number(digest: str, size: int, kind: str) -> str:
    """Print the first bytes of a digest, read as a signed little-endian number."""
    half, whole = (f"CAST('{2**bits}' AS HUGEINT)" for bits in (8 * size - 1, 8 * size))
    number = f"CAST(CAST('0x' || {_turned(f'left({digest}, {2 * size})', size)} AS UBIGINT) AS HUGEINT)"
    return f"CAST(({number} + {half}) % {whole} - {half} AS {kind})"
