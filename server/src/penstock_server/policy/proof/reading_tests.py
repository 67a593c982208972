"""Reads row tests and predicates into terms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from penstock_server.model.predicate import (
    AllTrue,
    Always,
    And,
    AnyTrue,
    Between,
    Compare,
    Comparison,
    Constant,
    In,
    IsNull,
    Like,
    Never,
    Not,
    Or,
    Predicate,
)
from penstock_server.model.schema import Column, ColumnType, TypeFamily
from penstock_server.policy.filters.nodes import UserAttribute, UserGroups, UserName, UserSubject, UserValue
from penstock_server.policy.filters.row_tests import (
    AndTest,
    CompareWithCaller,
    Fixed,
    InCallersValues,
    NotTest,
    OrTest,
    RowTest,
)
from penstock_server.policy.proof.globs import like, literal_text
from penstock_server.policy.proof.known import NotUnderstood, require_known
from penstock_server.policy.proof.scales import Point, point_of
from penstock_server.policy.proof.terms import (
    Below,
    CallerTest,
    Certain,
    Claim,
    ClaimKind,
    ClaimState,
    Conjunction,
    Disjunction,
    Matches,
    Missing,
    Negation,
    OneOf,
    Settled,
    Term,
)

_ONE_VALUE: Final = frozenset({ClaimState.LESS, ClaimState.EQUAL, ClaimState.GREATER})
_HOLDS: Final = {
    Comparison.EQUAL: frozenset({ClaimState.EQUAL}),
    Comparison.NOT_EQUAL: frozenset({ClaimState.LESS, ClaimState.GREATER}),
    Comparison.LESS: frozenset({ClaimState.LESS}),
    Comparison.LESS_OR_EQUAL: frozenset({ClaimState.LESS, ClaimState.EQUAL}),
    Comparison.GREATER: frozenset({ClaimState.GREATER}),
    Comparison.GREATER_OR_EQUAL: frozenset({ClaimState.GREATER, ClaimState.EQUAL}),
}
_IN: Final = frozenset({ClaimState.EQUAL, ClaimState.AMONG})
_NOT_IN: Final = frozenset({ClaimState.LESS, ClaimState.GREATER, ClaimState.OUTSIDE})


def read_test(test: RowTest, types: Mapping[str, ColumnType]) -> Term:
    """Give what a row test means.

    Raises:
        NotUnderstood: something in it is not known here.
    """
    require_known(test)
    match test:
        case Fixed():
            return read_predicate(test.predicate, types)
        case CompareWithCaller():
            holds = _HOLDS[test.op]
            return _caller_test(test.column, test.value, types, holds, _ONE_VALUE - holds)
        case InCallersValues():
            return _caller_test(test.column, test.value, types, _IN, _NOT_IN)
        case NotTest():
            return Negation(operand=read_test(test.operand, types))
        case AndTest():
            return Conjunction(operands=tuple(read_test(operand, types) for operand in test.operands))
        case OrTest():
            return Disjunction(operands=tuple(read_test(operand, types) for operand in test.operands))


def read_predicate(predicate: Predicate, types: Mapping[str, ColumnType]) -> Term:
    """Give what a predicate means.

    Raises:
        NotUnderstood: something in it is not known here.
    """
    require_known(predicate)
    match predicate:
        case Always():
            return Settled(truth=True)
        case Never():
            return Settled(truth=None)
        case Not():
            return Negation(operand=read_predicate(predicate.operand, types))
        case And():
            return Conjunction(operands=_all(predicate.operands, types))
        case Or():
            return Disjunction(operands=_all(predicate.operands, types))
        case AnyTrue():
            return Certain(operand=Disjunction(operands=_all(predicate.operands, types)))
        case AllTrue():
            return Certain(operand=Conjunction(operands=_all(predicate.operands, types)))
        case IsNull():
            _type_of(predicate.column, types)
            return Missing(column=predicate.column)
        case Compare() | Between() | In() | Like():
            return _comparison(predicate, _type_of(predicate.column, types))


def _all(operands: Iterable[Predicate], types: Mapping[str, ColumnType]) -> tuple[Term, ...]:
    return tuple(read_predicate(operand, types) for operand in operands)


def _type_of(column: str, types: Mapping[str, ColumnType]) -> ColumnType:
    if column not in types:
        raise NotUnderstood(f"a predicate speaks of `{column}`, which is no column of the table")
    return types[column]


def _comparison(predicate: Compare | Between | In | Like, kind: ColumnType) -> Term:
    column = predicate.column
    match predicate:
        case Compare():
            return _compared(column, predicate.op, _point(predicate.value, kind))
        case Between():
            low = _compared(column, Comparison.GREATER_OR_EQUAL, _point(predicate.low, kind))
            high = _compared(column, Comparison.LESS_OR_EQUAL, _point(predicate.high, kind))
            return Conjunction(operands=(low, high))
        case In():
            return OneOf(column=column, points=frozenset(_point(value, kind) for value in predicate.values))
        case Like():
            if kind.family is not TypeFamily.TEXT or "\\" in predicate.pattern:
                raise NotUnderstood(f"the proof has no reading of this LIKE on `{column}`")
            glob = like(predicate.pattern)
            text = literal_text(glob)
            if text is not None:
                return OneOf(column=column, points=frozenset({text}))
            return Matches(column=column, glob=glob)


def _compared(column: str, op: Comparison, point: Point) -> Term:
    match op:
        case Comparison.EQUAL:
            return OneOf(column=column, points=frozenset({point}))
        case Comparison.NOT_EQUAL:
            return Negation(operand=OneOf(column=column, points=frozenset({point})))
        case Comparison.LESS:
            return Below(column=column, bound=point, inclusive=False)
        case Comparison.LESS_OR_EQUAL:
            return Below(column=column, bound=point, inclusive=True)
        case Comparison.GREATER:
            return Negation(operand=Below(column=column, bound=point, inclusive=True))
        case Comparison.GREATER_OR_EQUAL:
            return Negation(operand=Below(column=column, bound=point, inclusive=False))


def _point(constant: Constant, kind: ColumnType) -> Point:
    try:
        return point_of(constant, kind)
    except TypeError as error:
        raise NotUnderstood(f"a predicate has {error}") from error


def _caller_test(
    column: Column,
    value: UserValue,
    types: Mapping[str, ColumnType],
    holds: frozenset[ClaimState],
    fails: frozenset[ClaimState],
) -> Term:
    require_known(value, column, column.type)
    if _type_of(column.name, types) != column.type:
        raise NotUnderstood(f"a test of the caller's values takes `{column.name}` for another type than it has")
    return CallerTest(column=column.name, claim=_claim(value), holds=holds, fails=fails)


def _claim(value: UserValue) -> Claim:
    match value:
        case UserName():
            return Claim(kind=ClaimKind.NAME, attribute="")
        case UserGroups():
            return Claim(kind=ClaimKind.GROUPS, attribute="")
        case UserSubject():
            return Claim(kind=ClaimKind.SUBJECT, attribute="")
        case UserAttribute():
            return Claim(kind=ClaimKind.ATTRIBUTE, attribute=value.name)
