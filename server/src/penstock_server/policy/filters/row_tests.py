"""A row filter bound to a table: fixed, or waiting for the caller's own values.

A value that is missing or does not fit the column's type makes its comparison UNKNOWN under either polarity, so that
neither a filter nor its negation ever shows a row because of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from penstock_server.model.predicate import (
    And,
    Compare,
    Comparison,
    Constant,
    In,
    Never,
    Not,
    Or,
    Predicate,
)
from penstock_server.model.principal import Principal
from penstock_server.model.schema import Column
from penstock_server.policy.constants import constant_of_claim
from penstock_server.policy.filters.nodes import UserAttribute, UserGroups, UserName, UserSubject, UserValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """The same predicate for everybody."""

    predicate: Predicate


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareWithCaller:
    """`column op :user...`: TRUE only where the caller has exactly one value that fits."""

    column: Column
    op: Comparison
    value: UserValue


@dataclass(frozen=True, slots=True, kw_only=True)
class InCallersValues:
    """`column IN :user...`; UNKNOWN where the caller has no value, or one that does not fit."""

    column: Column
    value: UserValue


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTest:
    """Three-valued NOT."""

    operand: RowTest


@dataclass(frozen=True, slots=True, kw_only=True)
class AndTest:
    """Three-valued AND."""

    operands: tuple[RowTest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrTest:
    """Three-valued OR."""

    operands: tuple[RowTest, ...]


RowTest = Fixed | CompareWithCaller | InCallersValues | NotTest | AndTest | OrTest


def predicate_for(test: RowTest, principal: Principal, *, default_issuer: str) -> Predicate:
    """Give the predicate of a bound filter for one principal."""
    match test:
        case Fixed():
            return test.predicate
        case CompareWithCaller():
            values = _constants(test.column, test.value, principal, default_issuer)
            if len(values) != 1:
                return Never()
            return Compare(column=test.column.name, op=test.op, value=values[0])
        case InCallersValues():
            values = _constants(test.column, test.value, principal, default_issuer)
            return In(column=test.column.name, values=frozenset(values)) if values else Never()
        case NotTest():
            return Not(operand=predicate_for(test.operand, principal, default_issuer=default_issuer))
        case AndTest():
            return And(
                operands=tuple(predicate_for(o, principal, default_issuer=default_issuer) for o in test.operands)
            )
        case OrTest():
            return Or(operands=tuple(predicate_for(o, principal, default_issuer=default_issuer) for o in test.operands))
        case _:
            assert_never(test)


def _constants(column: Column, value: UserValue, principal: Principal, default_issuer: str) -> tuple[Constant, ...]:
    """Give the caller's values as constants of the column; none where there is none or any does not fit.

    SECURITY: dropping only the one that does not fit would let NOT open rows.
    """
    fitting = [constant_of_claim(text, column.type) for text in _texts(value, principal, default_issuer)]
    found = tuple(constant for constant in fitting if constant is not None)
    return found if len(found) == len(fitting) else ()


def _texts(value: UserValue, principal: Principal, default_issuer: str) -> tuple[str, ...]:
    # SECURITY: names belong to the default issuer; nobody becomes somebody else by a name at another provider.
    match value:
        case UserName():
            name = principal.username
            return (name,) if name is not None and principal.issuer == default_issuer else ()
        case UserGroups():
            return tuple(sorted(group.name for group in principal.groups if group.issuer == default_issuer))
        case UserSubject():
            # A principal whom an administrator describes may have none.
            return (principal.subject_digest().hex(),) if principal.subject else ()
        case UserAttribute():
            return next((values for name, values in principal.attributes if name == value.name), ())
        case _:
            assert_never(value)
