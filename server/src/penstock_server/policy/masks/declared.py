"""Masks: what a policy file says of them, and what they show on a column of a given type."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Final

from penstock_server.config.document import Place
from penstock_server.model.conversions import always_converts
from penstock_server.model.masks import (
    AlphanumericForm,
    ConstantForm,
    ExpressionForm,
    GlobalDigestForm,
    KeyedHashForm,
    Mask,
    MaskForm,
    PartialForm,
    QueryDigestForm,
    RoundedForm,
    TruncatedForm,
)
from penstock_server.model.predicate import Constant
from penstock_server.model.schema import Column, ColumnType, TypeFamily
from penstock_server.policy.constants import constant_of
from penstock_server.policy.filters.nodes import Literal
from penstock_server.policy.filters.tokens import ExpressionError
from penstock_server.policy.masks.binding import bind_expression
from penstock_server.policy.masks.nodes import MaskNode

_TIMES: Final = frozenset({TypeFamily.DATE, TypeFamily.TIMESTAMP, TypeFamily.TIMESTAMP_TZ})
_NUMBERS: Final = frozenset({TypeFamily.INTEGER, TypeFamily.DECIMAL, TypeFamily.FLOAT})
_DIGESTED: Final = frozenset({"VARCHAR", "INTEGER", "BIGINT", "BLOB"})


class FixedValues(Enum):
    """The masks that show one constant of the column's type. The text of each is what it shows of text."""

    REDACT = "[redacted]"
    ICEBERG = "XXXXXXXX"
    """Iceberg's `mask-to-fixed-value`."""


_FIXED: Final[dict[TypeFamily, Constant]] = {
    TypeFamily.INTEGER: 0,
    TypeFamily.DECIMAL: Decimal(0),
    TypeFamily.FLOAT: 0.0,
    TypeFamily.BOOLEAN: False,
    TypeFamily.DATE: date(1970, 1, 1),
    TypeFamily.TIMESTAMP: datetime(1970, 1, 1),  # noqa: DTZ001 - a TIMESTAMP has no zone
    TypeFamily.TIMESTAMP_TZ: datetime(1970, 1, 1, tzinfo=UTC),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantSource:
    """A constant for NULL and one for everything else; None = NULL."""

    when_null: Literal | None
    otherwise: Literal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundSource:
    """`round`: `to` is a number above zero."""

    to: Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressionSource:
    """An expression that computes; a mask of this form states its type."""

    node: MaskNode


FormSource = (
    FixedValues
    | ConstantSource
    | RoundSource
    | ExpressionSource
    | PartialForm
    | AlphanumericForm
    | TruncatedForm
    | KeyedHashForm
    | GlobalDigestForm
    | QueryDigestForm
)
"""What a mask is before it is on a column; forms that look alike on every column are those of the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskSource:
    """A mask as declared. `type` is the one that it states, or None = that of the column.

    `builtin` is the name of a builtin mask as written, or None for an expression.
    """

    name: str
    place: Place
    rank: int
    form: FormSource
    type: ColumnType | None
    builtin: str | None


def bind_mask(mask: MaskSource, column: Column) -> Mask:
    """Give what the mask shows on a column, or on a field that is named as messages name it.

    Raises:
        ExpressionError: the mask does not go with the type of the column, or has no constant of its type.
    """
    kind = _shown_type(mask, column)
    return Mask(name=mask.name, rank=mask.rank, type=kind, form=_form(mask, column, kind))


def _shown_type(mask: MaskSource, column: Column) -> ColumnType:
    """Give the type of what is shown: that of the column, or the stated one, to which every value must convert.

    Whoever sees some cells of the column masked and others clear sees all of them in this one type.
    """
    if mask.type is None or mask.type.sql == column.type.sql:
        return column.type
    if not isinstance(mask.form, FixedValues | ConstantSource | ExpressionSource):
        raise ExpressionError(
            f"`{column.name}` is {column.type.sql} and `{mask.builtin}` shows that type; remove `type`", 0
        )
    if not always_converts(column.type, mask.type):
        raise ExpressionError(
            f"`{column.name}` is {column.type.sql} and the mask `{mask.name}` is {mask.type.sql}, to which not every "
            "clear value of the column can be converted; state VARCHAR or the type of the column",
            0,
        )
    return mask.type


def _form(mask: MaskSource, column: Column, kind: ColumnType) -> MaskForm:
    match mask.form:
        case FixedValues():
            return _fixed(mask.form, mask, column, kind)
        case ConstantSource(when_null=when_null, otherwise=otherwise):
            return ConstantForm(
                when_null=_constant(when_null, column, kind), otherwise=_constant(otherwise, column, kind)
            )
        case RoundSource(to=to):
            return _rounded(to, column)
        case ExpressionSource(node=node):
            return ExpressionForm(expression=bind_expression(node, column, kind))
        case TruncatedForm():
            return _fitting(mask, column, column.type.family in _TIMES, "a date or a timestamp")
        case GlobalDigestForm() | QueryDigestForm():
            fits = column.type.sql in _DIGESTED
            return _fitting(mask, column, fits, "VARCHAR, INTEGER, BIGINT or BLOB")
        case PartialForm() | AlphanumericForm() | KeyedHashForm():
            return _fitting(mask, column, column.type.family is TypeFamily.TEXT, "text")


def _fitting(mask: MaskSource, column: Column, fits: bool, wanted: str) -> MaskForm:
    if not fits or isinstance(mask.form, FixedValues | ConstantSource | RoundSource | ExpressionSource):
        raise ExpressionError(f"`{column.name}` is {column.type.sql}; `{mask.builtin}` goes with {wanted}", 0)
    return mask.form


def _fixed(values: FixedValues, mask: MaskSource, column: Column, kind: ColumnType) -> ConstantForm:
    if kind.family is TypeFamily.TEXT:
        return ConstantForm(when_null=values.value, otherwise=values.value)
    if kind.family not in _FIXED:
        raise ExpressionError(f"`{column.name}` is {column.type.sql}, for which `{mask.builtin}` has no constant", 0)
    return ConstantForm(when_null=_FIXED[kind.family], otherwise=_FIXED[kind.family])


def _constant(literal: Literal | None, column: Column, kind: ColumnType) -> Constant | None:
    # A mask shows its constant and compares nothing: a FLOAT is rounded to what the column can hold.
    return None if literal is None else constant_of(literal, kind, column=column.name, exact=False)


def _rounded(to: Literal, column: Column) -> RoundedForm:
    if column.type.family not in _NUMBERS:
        raise ExpressionError(f"`{column.name}` is {column.type.sql}; `round` goes with numbers", 0)
    step = constant_of(to, column.type, column=column.name, exact=True)
    if not isinstance(step, int | float | Decimal) or step <= 0:
        raise ExpressionError(f"`to: {to.text}`: write a number above zero", 0)
    least: int | Decimal | None = None
    if isinstance(step, int):
        least = 1
    elif isinstance(step, Decimal):
        least = Decimal(1).scaleb(-int(column.type.sql.partition(",")[2].rstrip(")")))
    if step == least:
        raise ExpressionError(
            f"`to: {to.text}` leaves every value of {column.type.sql} as it is; write a larger one", 0
        )
    return RoundedForm(to=step)
