"""Reads the `conditions` of a grant."""

from __future__ import annotations

from penstock_server.config.document import Entry, ListNode, MapNode, Node, ScalarNode
from penstock_server.policy.conditions.block import Block, Condition, NullCondition
from penstock_server.policy.conditions.parsing import parse_condition
from penstock_server.policy.problems import Problems
from penstock_server.policy.reading.fields import Fields


def read_conditions(fields: Fields, problems: Problems) -> Block | None:
    """Read `conditions: {OPERATOR: {KEY: value or [values]}}`; None where there are none, or where one is wrong.

    Whoever reads a grant with a problem in it drops the grant, so that None never stands for "wrong".
    """
    if not fields.has("conditions"):
        return None
    node = fields.mapping("conditions")
    found: list[Condition | NullCondition] = []
    for operator in node.entries if node is not None else ():
        if not isinstance(operator.node, MapNode) or not operator.node.entries:
            problems.add(operator.place, f"`{operator.key}` in `conditions` must hold condition keys with values")
            continue
        for key in operator.node.entries:
            condition = _condition(operator, key, problems)
            found += [condition] if condition is not None else []
    return Block(conditions=tuple(found)) if found else None


def _condition(operator: Entry, key: Entry, problems: Problems) -> Condition | NullCondition | None:
    nodes: tuple[Node, ...] = key.node.items if isinstance(key.node, ListNode) else (key.node,)
    values: list[str] = []
    for node in nodes:
        # `true` and `3600` are as good as in quotes: IAM takes both.
        if not isinstance(node, ScalarNode) or node.value is None:
            problems.add(node.place, f"`{key.key}` in `conditions` must be a text or a list of texts")
            return None
        values.append(node.text)
    try:
        return parse_condition(operator.key, key.key, tuple(values))
    except ValueError as error:
        problems.add(key.place, f"`conditions`: {error}")
        return None
