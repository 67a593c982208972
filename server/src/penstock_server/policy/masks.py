"""Masks: what a policy file says of them, and what they show on a column of a given type.

In this version a mask is a constant, or a constant for NULL and another for everything else, so it is total: it can
never fail on a hidden value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Final

from penstock_server.config.document import Place
from penstock_server.model.decision import Mask
from penstock_server.model.predicate import Constant
from penstock_server.model.schema import Column, TypeFamily
from penstock_server.policy.constants import constant_of
from penstock_server.policy.filter_cursor import TokenCursor
from penstock_server.policy.filter_nodes import Literal, LiteralKind
from penstock_server.policy.filter_tokens import ExpressionError, TokenKind, tokenize
from penstock_server.policy.problems import NOT_AVAILABLE
from penstock_server.policy.row_filter import MAX_LENGTH

OTHER_BUILTINS: Final = frozenset(
    {
        *("hash", "partial", "year", "month", "round"),
        *("mask-alphanum", "show-first-4", "show-last-4", "mask-to-fixed-value", "replace-with-null"),
        *("truncate-to-year", "truncate-to-month", "sha-256-global", "sha-256-query-local"),
    }
)
"""Builtin masks of the format that this version lacks."""

_REDACTED: Final[dict[TypeFamily, Constant]] = {
    TypeFamily.TEXT: "[redacted]",
    TypeFamily.INTEGER: 0,
    TypeFamily.DECIMAL: Decimal(0),
    TypeFamily.FLOAT: 0.0,
    TypeFamily.BOOLEAN: False,
    TypeFamily.DATE: date(1970, 1, 1),
    TypeFamily.TIMESTAMP: datetime(1970, 1, 1),  # noqa: DTZ001 - a TIMESTAMP has no zone
    TypeFamily.TIMESTAMP_TZ: datetime(1970, 1, 1, tzinfo=UTC),
}
_TYPE_ALIASES: Final = {"TEXT": "VARCHAR", "STRING": "VARCHAR", "INT": "INTEGER", "BOOL": "BOOLEAN", "REAL": "FLOAT"}


class Builtin(Enum):
    """The builtin masks."""

    NULL = "null"
    REDACT = "redact"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantMask:
    """An expression: a constant for NULL and one for everything else; None = NULL."""

    when_null: Literal | None
    otherwise: Literal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskSource:
    """A mask as declared. `type` is as the engine prints it, or None = that of the column."""

    name: str
    place: Place
    rank: int
    form: Builtin | ConstantMask
    type: str | None


def bind_mask(mask: MaskSource, column: Column) -> Mask:
    """Give what the mask shows on a column.

    Raises:
        ExpressionError: the mask has another type than the column, or no constant for it.
    """
    if mask.type is not None and mask.type != column.type.sql:
        raise ExpressionError(
            f"`{column.name}` is {column.type.sql} and the mask `{mask.name}` is {mask.type}; "
            f"a mask that changes the type is {NOT_AVAILABLE}",
            0,
        )
    if mask.form is Builtin.NULL:
        return Mask(name=mask.name, rank=mask.rank, when_null=None, otherwise=None)
    if mask.form is Builtin.REDACT:
        if column.type.family not in _REDACTED:
            raise ExpressionError(f"`{column.name}` is {column.type.sql}, for which `redact` has no constant", 0)
        shown = _REDACTED[column.type.family]
        return Mask(name=mask.name, rank=mask.rank, when_null=shown, otherwise=shown)
    return Mask(
        name=mask.name,
        rank=mask.rank,
        when_null=_constant(mask.form.when_null, column),
        otherwise=_constant(mask.form.otherwise, column),
    )


def parse_mask_expression(expression: str) -> ConstantMask:
    """Read a mask's expression: a constant, `CASE WHEN value IS [NOT] NULL THEN .. ELSE .. END`, or the bare test.

    Raises:
        ExpressionError: anything else, which this version lacks.
    """
    if len(expression) > MAX_LENGTH:
        raise ExpressionError(f"the expression is longer than {MAX_LENGTH} characters", MAX_LENGTH)
    try:
        tokens = tokenize(expression)
    except ExpressionError as error:
        raise _refusal(error.position) from error
    parser = _Parser(tokens)
    mask = parser.mask()
    parser.expect_end()
    return mask


def parse_mask_type(text: str) -> str:
    """Give a type in the spelling of the engine.

    Raises:
        ValueError: it is not written like a type.
    """
    kind = re.sub(r"\s*([(,)])\s*", r"\1", text.strip().upper())
    if not re.fullmatch(r"[A-Z][A-Z0-9_ ]*(\([0-9]+(,[0-9]+)?\))?", kind, re.ASCII):
        raise ValueError("is no type that a mask can have")
    return _TYPE_ALIASES.get(kind, kind)


def _constant(literal: Literal | None, column: Column) -> Constant | None:
    # A mask shows its constant and compares nothing: a FLOAT is rounded to what the column can hold.
    return None if literal is None else constant_of(literal, column.type, column=column.name, exact=False)


_TRUE: Final = Literal(kind=LiteralKind.BOOLEAN, text="TRUE", position=0)
_FALSE: Final = Literal(kind=LiteralKind.BOOLEAN, text="FALSE", position=0)


class _Parser(TokenCursor):
    """Reads the one constant, or the one CASE, that a mask is in this version."""

    def mask(self) -> ConstantMask:
        if self.word("CASE"):
            return self._case()
        if self._is("VALUE"):
            tests_null = self._null_test()
            return ConstantMask(when_null=_TRUE if tests_null else _FALSE, otherwise=_FALSE if tests_null else _TRUE)
        shown = self._shown()
        return ConstantMask(when_null=shown, otherwise=shown)

    def _case(self) -> ConstantMask:
        self.expect(TokenKind.WORD, "WHEN")
        if not self._is("VALUE"):
            raise _refusal(self.peek().position)
        tests_null = self._null_test()
        self.expect(TokenKind.WORD, "THEN")
        first = self._shown()
        second = self._shown() if self.word("ELSE") else None
        self.expect(TokenKind.WORD, "END")
        if tests_null:
            return ConstantMask(when_null=first, otherwise=second)
        return ConstantMask(when_null=second, otherwise=first)

    def _null_test(self) -> bool:
        self.advance()
        if not self.word("IS"):
            raise _refusal(self.peek().position)
        is_not = self.word("NOT")
        self.expect(TokenKind.WORD, "NULL")
        return is_not is None

    def _shown(self) -> Literal | None:
        if self.word("NULL"):
            return None
        try:
            return self.literal()
        except ExpressionError as error:
            raise _refusal(error.position) from error

    def _is(self, word: str) -> bool:
        return self.peek().kind is TokenKind.WORD and self.peek().value == word

    def expect(self, kind: TokenKind, value: str) -> None:
        if self.take(kind, value) is None:
            raise _refusal(self.peek().position)

    def expect_end(self) -> None:
        if self.peek().kind is not TokenKind.END:
            raise _refusal(self.peek().position)


def _refusal(position: int) -> ExpressionError:
    return ExpressionError(
        f"an expression that is no constant and does more than test `value` for NULL is {NOT_AVAILABLE}", position
    )
