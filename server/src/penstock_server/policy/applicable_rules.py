"""What a rules dataset says for one principal, as a predicate."""

from __future__ import annotations

from penstock_server.model.predicate import Always, And, AnyTrue, Compare, Comparison, In, Predicate
from penstock_server.model.principal import Principal
from penstock_server.policy.bound import BoundRowRules, BoundRule, selectors_of


def rows_of(rules: BoundRowRules, principal: Principal) -> Predicate:
    """Give which rows the principal may see: AND inside a row of the dataset, OR over the rows that name them.

    A principal without a row sees nothing; a row that restricts nothing shows all.
    """
    named: dict[BoundRule, None] = {}
    for selector in selectors_of(principal):
        named.update(dict.fromkeys(rules.rules.get(selector, ())))
    # Rows that restrict one and the same column only become one IN, so thousands of rows stay one test.
    single: dict[int, set[str]] = {}
    operands: list[Predicate] = []
    for rule in named:
        restricted = [index for index, values in enumerate(rule) if values is not None]
        if not restricted:
            return Always()
        if len(restricted) == 1:
            single.setdefault(restricted[0], set()).update(rule[restricted[0]] or ())
        else:
            operands.append(And(operands=tuple(_one_of(rules.columns[i], rule[i] or frozenset()) for i in restricted)))
    operands += [_one_of(rules.columns[index], frozenset(values)) for index, values in sorted(single.items())]
    return operands[0] if len(operands) == 1 else AnyTrue(operands=tuple(operands))


def _one_of(column: str, values: frozenset[str]) -> Predicate:
    if len(values) == 1:
        return Compare(column=column, op=Comparison.EQUAL, value=next(iter(values)))
    return In(column=column, values=frozenset(values))
