"""Masks for tests, and what the forms of the model show in Python: independent of policy files and of the engine."""

from __future__ import annotations

import hashlib
import hmac
import math
import struct
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from penstock_server.model.mask_expressions import (
    VALUE,
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
)
from penstock_server.model.masks import (
    AlphanumericForm,
    ConstantForm,
    ExpressionForm,
    GlobalDigestForm,
    KeyedHashForm,
    Mask,
    PartialForm,
    Period,
    RoundedForm,
    TruncatedForm,
)
from penstock_server.model.predicate import Constant, Predicate
from penstock_server.model.schema import ColumnType


def constant_mask(
    kind: ColumnType, when_null: Constant | None, otherwise: Constant | None, *, name: str = "m", rank: int = 1
) -> Mask:
    return Mask(name=name, rank=rank, type=kind, form=ConstantForm(when_null=when_null, otherwise=otherwise))


Truth = Callable[[Predicate, Mapping[str, Any]], bool | None]


def masked(mask: Mask, value: Any, *, truth: Truth) -> Any:
    """Give what a mask of a decision shows in place of a value; `truth` evaluates the tests of its expression."""
    match mask.form:
        case ConstantForm(when_null=when_null, otherwise=otherwise):
            return when_null if value is None else otherwise
        case ExpressionForm(expression=expression):
            return _computed(expression, value, truth)
        case form if value is None:
            return None
        case PartialForm() | AlphanumericForm() as form:
            return _kept(form, value)
        case TruncatedForm(period=period):
            return _truncated(value, period)
        case RoundedForm(to=to):
            return _rounded(value, to)
        case KeyedHashForm(key=key):
            return hmac.new(key.secret.reveal().encode(), value.encode(), "sha256").hexdigest()
        case GlobalDigestForm():
            return _digest(value, mask.type.sql)
        case form:
            raise AssertionError(form)


def _kept(form: PartialForm | AlphanumericForm, text: str) -> str:
    short = len(text) <= form.keep_first + form.keep_last
    if isinstance(form, PartialForm):
        shown = [form.filler] * len(text)
    elif short and form.keep_first + form.keep_last:
        return text
    else:
        shown = [_alphanumeric(character) for character in text]
    if not short:
        shown[: form.keep_first] = text[: form.keep_first]
        shown[len(text) - form.keep_last :] = text[len(text) - form.keep_last :]
    return "".join(shown)


def _alphanumeric(character: str) -> str:
    return "n" if character in "0123456789" else character if character in "(),.-@" else "x"


def _truncated(value: date, period: Period) -> date:
    first = value.replace(day=1) if period is Period.MONTH else value.replace(month=1, day=1)
    return first.replace(hour=0, minute=0, second=0, microsecond=0) if isinstance(first, datetime) else first


def _rounded(value: Any, to: int | Decimal | float) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    steps = int(Fraction(value) / Fraction(to))
    return type(value)(to) * steps


def _digest(value: Any, kind: str) -> Any:
    if kind == "VARCHAR":
        return hashlib.sha256(value.encode()).hexdigest()
    form = {"INTEGER": "<i", "BIGINT": "<q"}[kind]
    raw = hashlib.sha256(struct.pack(form, value)).digest()
    return struct.unpack_from(form, raw)[0]


def _computed(expression: MaskExpression, value: Any, truth: Truth) -> Any:
    match expression:
        case Fixed(value=constant):
            return constant
        case Value():
            return value
        case Joined(operands=operands):
            texts = [_computed(operand, value, truth) for operand in operands]
            return None if None in texts else "".join(texts)
        case Case(branches=branches, otherwise=otherwise):
            for branch in branches:
                if truth(branch.when, {VALUE: value}) is True:
                    return _computed(branch.then, value, truth)
            return _computed(otherwise, value, truth)
        case First() | Last() | Part() | LowerCase() | UpperCase() | Length() | LengthAsText():
            text = _computed(expression.operand, value, truth)
            return None if text is None else _of_text(expression, text)
        case _:
            raise AssertionError(expression)


def _of_text(expression: First | Last | Part | LowerCase | UpperCase | Length | LengthAsText, text: str) -> str | int:
    match expression:
        case First(count=count):
            return text[:count]
        case Last(count=count):
            return text[-count:] if count else ""
        case Part(start=start, count=count):
            return text[start - 1 :] if count is None else text[start - 1 : start - 1 + count]
        case LowerCase():
            return text.lower()
        case UpperCase():
            return text.upper()
        case Length():
            return len(text)
        case LengthAsText():
            return str(len(text))
