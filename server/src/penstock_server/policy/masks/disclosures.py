"""Where a mask shows more than its name seems to say: for whoever reviews a policy, not for the engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, assert_never

from penstock_server.config.document import Place
from penstock_server.model.masks import (
    AlphanumericForm,
    GlobalDigestForm,
    KeyedHashForm,
    PartialForm,
    Period,
    QueryDigestForm,
    TruncatedForm,
)
from penstock_server.policy.filters.nodes import Literal, LiteralKind
from penstock_server.policy.masks.declared import (
    ConstantSource,
    ExpressionSource,
    FixedValues,
    FormSource,
    MaskSource,
    RoundSource,
)
from penstock_server.policy.masks.nodes import CaseNode, FunctionNode, JoinNode, MaskNode, TextFunction, ValueNode
from penstock_server.policy.source import PolicySource

_SMALL_STEP: Final = Decimal(10)
"""Rounding to less than this leaves most of a number."""

_MUCH_KEPT: Final = 6
"""Characters from which on what is kept often is the value: a date of birth, a postcode, the end of an account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskWarning:
    """One thing that a mask shows. `str` gives it as `FILE:LINE: what it shows`, as problems are written."""

    place: Place
    mask: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: the mask `{self.mask}` {self.message}"


def mask_warnings(source: PolicySource) -> tuple[MaskWarning, ...]:
    """Give what the declared masks show beyond what they seem to, by mask; none of it keeps the policy from loading."""
    return tuple(
        MaskWarning(place=mask.place, mask=mask.name, message=message)
        for mask in source.masks
        for message in (*_of_form(mask.form), *_of_key(mask, source.masks))
    )


def _of_form(form: FormSource) -> Iterator[str]:
    match form:
        case FixedValues():
            pass
        case ConstantSource(when_null=when_null, otherwise=otherwise):
            if _written(when_null) != _written(otherwise):
                yield "tells whether there is a value"
        case ExpressionSource(node=node):
            yield from dict.fromkeys(_of_expression(node, tested=False))
        case RoundSource(to=to):
            if Decimal(to.text) < _SMALL_STEP:
                yield f"rounds to {to.text} only, which leaves nearly all of a number"
        case TruncatedForm(period=period):
            shown = "year and month" if period is Period.MONTH else "year"
            yield f"shows the {shown}; where few rows share one, such as a year of birth, that may point at a person"
        case PartialForm():
            yield from _of_partial(form)
        case _:
            yield from _of_iceberg_or_hash(form)


def _of_iceberg_or_hash(
    form: AlphanumericForm | KeyedHashForm | GlobalDigestForm | QueryDigestForm,
) -> Iterator[str]:
    match form:
        case AlphanumericForm(keep_first=first, keep_last=last):
            yield "keeps the length of a value, its punctuation and where its digits stand"
            if first + last:
                yield f"shows a value of {first + last} characters or fewer as it is"
        case KeyedHashForm():
            yield "shows equal values as equal, so rows can be linked and values that come often can be told"
        case GlobalDigestForm():
            yield "has no key: whoever guesses a value can check the guess; `hash` has one"
        case QueryDigestForm():
            yield "shows equal values as equal within one statement, so values that come often can be told"
        case _:
            assert_never(form)


def _written(literal: Literal | None) -> tuple[LiteralKind, str] | None:
    return None if literal is None else (literal.kind, literal.text)


def _of_partial(form: PartialForm) -> Iterator[str]:
    kept = form.keep_first + form.keep_last
    yield (
        f"keeps the length of a value, and of one with {kept + 1} characters hides a single one; only values of "
        f"{kept} or fewer are masked wholly"
    )
    if kept >= _MUCH_KEPT:
        yield f"keeps {kept} characters, which of a short value is nearly all"


def _of_key(mask: MaskSource, masks: tuple[MaskSource, ...]) -> Iterator[str]:
    if not isinstance(mask.form, KeyedHashForm):
        return
    same = [
        f"`{other.name}`"
        for other in masks
        if other.name != mask.name and isinstance(other.form, KeyedHashForm) and other.form.key == mask.form.key
    ]
    if same:
        yield f"has the key of {' and '.join(same)}: equal values can be linked across their columns"


def _of_expression(node: MaskNode, *, tested: bool) -> Iterator[str]:
    """Give what an expression shows; `tested` where what it gives depends on a test of the value already."""
    match node:
        case ValueNode():
            yield "shows the value itself in some cells" if tested else "shows the value as it is"
        case FunctionNode(function=TextFunction.LENGTH | TextFunction.LENGTH_AS_TEXT):
            yield "tells the length of a value"
        case FunctionNode(function=TextFunction.LEFT | TextFunction.RIGHT, operand=ValueNode(), numbers=(count,)):
            yield f"shows a value of {count} characters or fewer as it is"
        case FunctionNode(function=TextFunction.LOWER | TextFunction.UPPER, operand=operand):
            yield from _of_expression(operand, tested=tested)
        case FunctionNode(function=TextFunction.SUBSTRING, operand=ValueNode(), numbers=(1, *_)):
            yield "shows the beginning of a value, of a short one all of it"
        case JoinNode(operands=operands):
            for operand in operands:
                yield from _of_expression(operand, tested=tested)
        case CaseNode(branches=branches, otherwise=otherwise):
            yield "tells which test a value meets"
            for part in (*(branch.shown for branch in branches), otherwise):
                yield from _of_expression(part, tested=True)
        case _:
            pass
