"""What a rules dataset says for one principal, as a predicate."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from penstock_server.model.predicate import Always, And, AnyTrue, Compare, Comparison, Constant, In, Not, Or, Predicate
from penstock_server.model.principal import Principal
from penstock_server.policy.bound import BoundRowRules, BoundRule, selectors_of

NO_ROW: Final = AnyTrue(operands=())
"""FALSE for every row."""


def rows_of(rules: BoundRowRules, principal: Principal, *, at: datetime) -> Predicate:
    """Give which rows the principal may see at an instant.

    AND inside a row of the dataset, OR over the rows that name them. A principal without a row sees nothing; a row that
    restricts nothing shows all. A dataset that is too old shows nobody anything.
    """
    if rules.stale(at):
        return NO_ROW
    named = _naming(rules, principal)
    return _not_denied(rules, named, principal) if rules.denies else _granted(rules, named)


def _naming(rules: BoundRowRules, principal: Principal) -> tuple[BoundRule, ...]:
    named: dict[BoundRule, None] = {}
    for selector in selectors_of(principal):
        found = rules.rules.get(selector)
        if found is not None:
            named.update(dict.fromkeys(found))
    return tuple(named)


def _granted(rules: BoundRowRules, named: tuple[BoundRule, ...]) -> Predicate:
    operands = _described(rules, named)
    if operands is None:
        return Always()
    return operands[0] if len(operands) == 1 else AnyTrue(operands=tuple(operands))


def _not_denied(rules: BoundRowRules, named: tuple[BoundRule, ...], principal: Principal) -> Predicate:
    """Give all rows but those that a rule describes; who is named by no rule sees all.

    SECURITY: here a rule that is not found opens rows, so whoever may have one that cannot be found sees none: without
    a complete list of groups, without a username, or of an issuer whose people the dataset does not name. A cell that
    is NULL may be any value, so its row counts as one that is described unless another field tells it apart.
    """
    if not principal.groups_complete or principal.username is None or not _names_people_of(rules, principal.issuer):
        return NO_ROW
    operands = _described(rules, named)
    if operands is None:
        return NO_ROW
    if not operands:
        return Always()
    return Not(operand=operands[0] if len(operands) == 1 else Or(operands=tuple(operands)))


def _names_people_of(rules: BoundRowRules, issuer: str) -> bool:
    # For callers of an issuer that is named, the first selectors tell; a set of all would be made for each decision.
    return any(selector.issuer == issuer for selector in rules.rules)


def _described(rules: BoundRowRules, named: tuple[BoundRule, ...]) -> list[Predicate] | None:
    """Give which rows each rule describes; None where one restricts nothing and so describes all."""
    # Rows that restrict one and the same column only become one IN, so thousands of rows stay one test.
    single: dict[int, set[Constant]] = {}
    operands: list[Predicate] = []
    for rule in named:
        restricted = [index for index, values in enumerate(rule) if values is not None]
        if not restricted:
            return None
        if len(restricted) == 1:
            single.setdefault(restricted[0], set()).update(rule[restricted[0]] or ())
        else:
            operands.append(And(operands=tuple(_one_of(rules.columns[i], rule[i] or frozenset()) for i in restricted)))
    return operands + [_one_of(rules.columns[index], frozenset(values)) for index, values in sorted(single.items())]


def _one_of(column: str, values: frozenset[Constant]) -> Predicate:
    if len(values) == 1:
        return Compare(column=column, op=Comparison.EQUAL, value=next(iter(values)))
    return In(column=column, values=frozenset(values))
