"""Masks: what a cell shows instead of its value.

INVARIANT: every form gives a value for every cell, NULL, NaN, infinities and the ends of a type among them: a mask that
could fail would tell of a hidden cell by failing. Equal cells give equal bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

from penstock_server.model.mask_expressions import MaskExpression
from penstock_server.model.predicate import Constant
from penstock_server.model.schema import ColumnType
from penstock_server.model.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantForm:
    """A constant for NULL and one for everything else; None = NULL."""

    when_null: Constant | None
    otherwise: Constant | None

    @property
    def tells_nothing(self) -> bool:
        """Whether it is one constant, whatever the value."""
        return (type(self.when_null), self.when_null) == (type(self.otherwise), self.otherwise)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialForm:
    """Text with the first `keep_first` and the last `keep_last` characters, and `filler` for each one between them.

    A text no longer than what is kept is masked wholly. `filler` is one printable ASCII character, so what is shown
    is never longer, in bytes, than the value.
    """

    keep_first: int
    keep_last: int
    filler: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlphanumericForm:
    """Iceberg's `mask-alphanum`: `n` for 0 to 9, `x` for all but `( ) , . - @`, on the characters that are not kept.

    With `keep_first` or `keep_last` it is `show-first-4`, `show-last-4`: a text of at most as many characters is shown
    as it is.
    """

    keep_first: int
    keep_last: int


class Period(Enum):
    """What a date is cut to the first day of."""

    YEAR = "year"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class TruncatedForm:
    """The first instant of the year or month, in UTC.

    NULL for infinities, and where that instant lies outside of what the type or a TIMESTAMP holds.
    """

    period: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundedForm:
    """The multiple of `to` next to the value, towards zero; NULL for NaN and infinities. `to` is above zero."""

    to: int | Decimal | float


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskKey:
    """The key of a hash. `mark` differs wherever the key does and tells nothing about it; see `Secret.mark`."""

    mark: str
    secret: Secret[str] = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedHashForm:
    """HMAC-SHA-256 over the UTF-8 of a text, as 64 hex digits in lower case; the key is the UTF-8 of the secret.

    Source: RFC 2104, FIPS 180-4.
    """

    key: MaskKey


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalDigestForm:
    """Iceberg's `sha-256-global`: SHA-256 without any key, in the type of the column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryDigestForm:
    """Iceberg's `sha-256-query-local`: SHA-256 over a salt of the statement and the value, in the type of the column.

    A decision has no salt yet (None); the query door gives each statement its own (`statement_masks.for_statement`).
    Without one nothing is read.
    """

    salt: MaskKey | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressionForm:
    """What the expression computes from the value."""

    expression: MaskExpression


MaskForm = (
    ConstantForm
    | PartialForm
    | AlphanumericForm
    | TruncatedForm
    | RoundedForm
    | KeyedHashForm
    | GlobalDigestForm
    | QueryDigestForm
    | ExpressionForm
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """What a cell shows instead of its value.

    `rank` orders masks: the lowest that applies to a cell wins. `type` is that of what is shown: the column's, or
    another that the policy states, to which then every value of the column can be converted.
    """

    name: str
    rank: int
    type: ColumnType
    form: MaskForm

    @property
    def shows_null(self) -> bool:
        """Whether it is NULL whatever the value, and so of any type."""
        return self.form == ConstantForm(when_null=None, otherwise=None)
