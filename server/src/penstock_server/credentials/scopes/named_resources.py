"""What resources that are granted by their whole name have in common: a narrow Allow, and a fence around it.

A builder of one service (`kinesis`, `kms`, `redshift_data`, `athena`, `glue`) gives what a scope reaches: actions, on
resources, under conditions all of which must hold. Here these become statements. For each action the fence denies every
resource that no reach of it names, and on those that one names what its conditions leave out; what is denied to the
whole session (other actions, its end) stands in `whole_session`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Final

from penstock_server.credentials.session_policy import Condition, Effect, Pattern, Statement

ANY: Final = Pattern("*")


class Rule(Enum):
    """How a key is held to its values."""

    IS = auto()
    """It is there, and one of the values."""
    IS_IF_THERE = auto()
    """It is not there, or one of the values."""
    IS_TRUE = auto()
    """A key that is true or false is there, and true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRule:
    """What one condition key must be."""

    key: str
    values: tuple[Pattern, ...]
    rule: Rule = Rule.IS


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Actions on resources where all rules hold; `*` as the only resource where the actions have none.

    AWS: these ARNs name their account, so that no condition on it is needed.
    """

    actions: tuple[str, ...]
    resources: tuple[Pattern, ...]
    rules: tuple[KeyRule, ...] = ()


def joined(reaches: Iterable[Reach]) -> tuple[Reach, ...]:
    """Give reaches with those joined that differ in their actions alone, or in their resources alone."""
    # INVARIANT: two are joined only where all else is equal; anything else is a cross product.
    by_actions: dict[tuple[object, ...], list[Reach]] = defaultdict(list)
    for reach in reaches:
        by_actions[reach.resources, reach.rules].append(reach)
    merged = [
        Reach(
            actions=tuple(sorted({action for reach in alike for action in reach.actions})),
            resources=alike[0].resources,
            rules=alike[0].rules,
        )
        for alike in by_actions.values()
    ]
    by_resources: dict[tuple[object, ...], list[Reach]] = defaultdict(list)
    for reach in merged:
        by_resources[reach.actions, reach.rules].append(reach)
    return tuple(
        Reach(
            actions=alike[0].actions,
            resources=tuple(sorted({resource for reach in alike for resource in reach.resources})),
            rules=alike[0].rules,
        )
        for alike in by_resources.values()
    )


def actions_of(reaches: Iterable[Reach]) -> tuple[str, ...]:
    """Give every action of some reaches, sorted."""
    return tuple(sorted({action for reach in reaches for action in reach.actions}))


def statements(reaches: tuple[Reach, ...], *, others: tuple[str, ...] = ()) -> tuple[Statement, ...]:
    """Give the statements that allow joined reaches and deny what they leave out; beside `whole_session`.

    `others` are actions that other builders of this session allow.
    """
    every = frozenset((*actions_of(reaches), *others))
    return (
        *(_allow(reach) for reach in reaches),
        *_other_resources(reaches, every),
        *_other_values(reaches, every),
    )


def whole_session(
    reaches: tuple[Reach, ...], *, others: tuple[str, ...], account: str, ends_at: datetime | None
) -> tuple[Statement, ...]:
    """Deny all other actions, other accounts to the actions of `others`, and what comes after `ends_at`."""
    every = frozenset((*actions_of(reaches), *others))
    found = [
        Statement(
            effect=Effect.DENY,
            actions=tuple(sorted(every)),
            all_other_actions=True,
            resources=(ANY,),
            conditions=(),
        )
    ]
    if others:
        foreign = Condition(operator="StringNotEquals", key="aws:ResourceAccount", values=(Pattern(account),))
        found.append(denial(others, every, resources=(ANY,), conditions=(foreign,)))
    if ends_at is not None:
        end = Pattern(ends_at.strftime("%Y-%m-%dT%H:%M:%SZ"))
        over = Condition(operator="DateGreaterThanEquals", key="aws:CurrentTime", values=(end,))
        found.append(Statement(effect=Effect.DENY, actions=("*",), resources=(ANY,), conditions=(over,)))
    return tuple(found)


def denial(
    actions: Iterable[str],
    every: frozenset[str],
    *,
    resources: tuple[Pattern, ...],
    conditions: tuple[Condition, ...],
    all_other_resources: bool = False,
) -> Statement:
    """Give the shortest Deny of some actions out of `every` one that the session has.

    What is none of these is denied to the whole session, so that a Deny may name it or not.
    """
    denied = tuple(sorted(actions))
    rest = tuple(sorted(every.difference(denied)))
    forms = [(denied, False)]
    beginning = denied[0][: _shared(denied)] if len(denied) > 1 else denied[0].partition(":")[0] + ":"
    if not any(other.startswith(beginning) for other in rest):
        forms.append(((f"{beginning}*",), False))
    forms.append((rest, True) if rest else (("*",), False))
    names, others = min(forms, key=lambda form: sum(len(name) + 3 for name in form[0]))
    return Statement(
        effect=Effect.DENY,
        actions=names,
        all_other_actions=others,
        resources=resources,
        all_other_resources=all_other_resources,
        conditions=conditions,
    )


def _shared(names: tuple[str, ...]) -> int:
    """Give how many characters sorted names begin with in common."""
    first, last = names[0], names[-1]
    return next((place for place, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))


def _allow(reach: Reach) -> Statement:
    operators = {Rule.IS: "StringEquals", Rule.IS_IF_THERE: "StringEqualsIfExists", Rule.IS_TRUE: "Bool"}
    return Statement(
        effect=Effect.ALLOW,
        actions=reach.actions,
        resources=reach.resources,
        conditions=tuple(
            Condition(operator=operators[rule.rule], key=rule.key, values=rule.values) for rule in reach.rules
        ),
    )


def _other_resources(reaches: tuple[Reach, ...], every: frozenset[str]) -> Iterable[Statement]:
    reached: dict[str, set[Pattern]] = defaultdict(set)
    for reach in reaches:
        for action in reach.actions:
            reached[action].update(reach.resources)
    grouped: dict[tuple[Pattern, ...], list[str]] = defaultdict(list)
    for action in sorted(reached):
        grouped[tuple(sorted(reached[action]))].append(action)
    for resources, actions in grouped.items():
        if resources != (ANY,):
            yield denial(actions, every, resources=resources, all_other_resources=True, conditions=())


def _other_values(reaches: tuple[Reach, ...], every: frozenset[str]) -> Iterable[Statement]:
    for reach in reaches:
        # Where no other reach has these actions, they are denied elsewhere already, and `*` is shorter.
        alone = not any(other is not reach and set(other.actions) & set(reach.actions) for other in reaches)
        resources = (ANY,) if alone else reach.resources
        for rule in reach.rules:
            yield denial(reach.actions, every, resources=resources, conditions=_outside(rule))


def _outside(rule: KeyRule) -> tuple[Condition, ...]:
    # AWS: a negated operator is true of a request that has no such key, with and without IfExists.
    if rule.rule is Rule.IS_TRUE:
        return (Condition(operator="BoolIfExists", key=rule.key, values=(Pattern("false"),)),)
    other = Condition(operator="StringNotEquals", key=rule.key, values=rule.values)
    if rule.rule is Rule.IS_IF_THERE:
        return (other, Condition(operator="Null", key=rule.key, values=(Pattern("false"),)))
    return (other,)
