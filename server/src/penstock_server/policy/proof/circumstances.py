"""Conditions of grants as formulas, and circumstances of a request under which they hold or not.

Each distinct condition is a free truth value, the same in both versions: more than there are, so that "no model" is a
proof. A condition whose values are among those of another one, or whose bound lies within the other's, implies it; that
is told to the search. What a model says of the conditions is then looked for among the values that they name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice, permutations, product
from typing import Final, TypeVar

from penstock_server.policy.conditions.block import Condition
from penstock_server.policy.conditions.keys import POSTURE, Key, instant_of
from penstock_server.policy.conditions.operators import number_of
from penstock_server.policy.conditions.patterns import Value, Variable, literal
from penstock_server.policy.proof.formulas import FALSE, Formulas, Node
from penstock_server.policy.proof.formulas import Variable as FormulaVariable
from penstock_server.policy.proof.inputs import AnyCondition
from penstock_server.policy.proof.search import Model

Given = Mapping[str, tuple[str, ...]]
"""Values of context keys, by their lower-case names without the prefix; an absent key has none."""

ADDRESS: Final = "sourceip"
TAG: Final = "principaltag/"
_PASSING: Final = frozenset({"currenttime", "tokenage"})
"""Keys whose value changes while a credential lives."""
_SETTABLE: Final = frozenset(
    {ADDRESS, "currenttime", "tokenage", "clientid", "authenticationmethods", "requestedttl", "purpose"}
)
_MOST_GIVEN: Final = 12
_HOLDS: Final = 2
"""The region of a condition that holds; 1 is that of one that does not."""


class Circumstances:
    """The variables of all conditions of both versions."""

    def __init__(self, formulas: Formulas, conditions: Iterable[AnyCondition]) -> None:
        self._formulas = formulas
        self._variables: dict[AnyCondition, FormulaVariable] = {}
        self._lasting: dict[AnyCondition, FormulaVariable] = {}
        for condition in conditions:
            if condition not in self._variables:
                self._variables[condition] = formulas.variable(3)
                if condition.key.name in _PASSING:
                    self._lasting[condition] = formulas.variable(3)

    def holding(self, conditions: Iterable[AnyCondition], *, carried: bool) -> Node:
        """Give "all of these hold"; where the decision is `carried` away, none that looks at the address does."""
        parts: list[Node] = []
        for condition in conditions:
            if carried and condition.key.name == ADDRESS:
                return FALSE
            parts.append(self._formulas.literal(self._variables[condition], _HOLDS))
        return self._formulas.conjunction(parts)

    def lasting(self, conditions: Iterable[AnyCondition]) -> Node:
        """Give "those of these that time may end still hold when a credential is used"."""
        passing = [self._lasting[condition] for condition in conditions if condition in self._lasting]
        return self._formulas.conjunction([self._formulas.literal(variable, _HOLDS) for variable in passing])

    def consistent(self) -> Node:
        """Give what holds between conditions: one implies another, whenever it is."""
        clauses: list[Node] = []
        for one, other in permutations(self._variables, 2):
            if implies(one, other):
                clauses.append(self._implication(self._variables[one], self._variables[other]))
                if one in self._lasting and other in self._lasting:
                    clauses.append(self._implication(self._lasting[one], self._lasting[other]))
        return self._formulas.conjunction(clauses)

    def given(self, model: Model) -> Iterator[Given]:
        """Give circumstances under which the conditions are as a model says, as far as their own values allow."""
        wanted: dict[Key, list[tuple[AnyCondition, bool]]] = {}
        for condition, variable in self._variables.items():
            if variable in model:
                wanted.setdefault(condition.key, []).append((condition, bool(model[variable] & _HOLDS)))
        choices = [
            [(key.name, values) for values in _serving(key.name, claims)]
            for key, claims in wanted.items()
            if key.name in _SETTABLE or key.name.startswith((TAG, POSTURE))
        ]
        for chosen in islice(product(*choices), _MOST_GIVEN):
            yield {name: values for name, values in chosen if values}

    def _implication(self, one: FormulaVariable, other: FormulaVariable) -> Node:
        return self._formulas.disjunction((self._formulas.literal(one, 1), self._formulas.literal(other, _HOLDS)))


def implies(one: AnyCondition, other: AnyCondition) -> bool:
    """Tell whether one condition surely holds only where another does: equal but for values, and these are within.

    SECURITY: only for values that are the same for every request; False is always safe.
    """
    if not isinstance(one, Condition) or not isinstance(other, Condition):
        return False
    if replace(one, values=other.values) != other or not all(map(_is_fixed, (*one.values, *other.values))):
        return False
    name = one.operator.name
    narrow, wide = (other, one) if one.operator.negated else (one, other)
    if name.startswith("String"):
        return set(narrow.values) <= set(wide.values)
    mine, others = _texts(one), _texts(other)
    try:
        if name in {"IpAddress", "NotIpAddress"}:
            return _networks_within(_texts(narrow), _texts(wide))
        if name.startswith("Date"):
            return _bounded(name, [instant_of(text) for text in mine], [instant_of(text) for text in others])
        if name.startswith("Numeric"):
            return _bounded(name, [number_of(text) for text in mine], [number_of(text) for text in others])
    except ValueError:
        pass
    return False


Ordered = TypeVar("Ordered", datetime, Decimal)


def _bounded(name: str, mine: Sequence[Ordered], others: Sequence[Ordered]) -> bool:
    """Tell whether values of an ordered operator lie within others: any one of several may match."""
    if "LessThan" in name:
        return max(mine) <= max(others)
    if "GreaterThan" in name:
        return min(mine) >= min(others)
    return set(others) <= set(mine) if "Not" in name else set(mine) <= set(others)


def _is_fixed(value: Value) -> bool:
    return not any(isinstance(part, Variable) for part in value.parts)


def _texts(condition: Condition) -> list[str]:
    """Give the values as texts; those with wildcards have none."""
    fixed = (tuple(part for part in value.parts if not isinstance(part, Variable)) for value in condition.values)
    return [text for parts in fixed if (text := literal(parts)) is not None]


def _networks_within(narrow: Sequence[str], wide: Sequence[str]) -> bool:
    networks = [ipaddress.ip_network(text, strict=False) for text in wide]
    return all(
        any(_is_within(ipaddress.ip_network(text, strict=False), network) for network in networks) for text in narrow
    )


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _is_within(one: _Network, other: _Network) -> bool:
    if isinstance(one, ipaddress.IPv4Network):
        return isinstance(other, ipaddress.IPv4Network) and one.subnet_of(other)
    return isinstance(other, ipaddress.IPv6Network) and one.subnet_of(other)


def _serving(name: str, claims: Sequence[tuple[AnyCondition, bool]]) -> list[tuple[str, ...]]:
    """Give values of a key under which all its conditions are as claimed, at least one even if none is."""
    found = [
        values
        for values in dict.fromkeys(_candidates(name, [condition for condition, _ in claims]))
        if all(condition.holds({name: values} if values else {}) is holds for condition, holds in claims)
    ]
    return found or [()]


def _candidates(name: str, conditions: Sequence[AnyCondition]) -> Iterator[tuple[str, ...]]:
    """Give values of a key: none, all that the conditions name, and others beside these."""
    if name != "currenttime":
        yield ()
    for condition in conditions:
        if isinstance(condition, Condition):
            texts = [text for value in condition.values if (text := _plainest(value))]
            yield from ((one,) for text in texts for one in _around(name, text))
            yield tuple(texts)
    yield from ((text,) for text in _OTHERS.get(name, ("x", "y", "1")))


def _plainest(value: Value) -> str:
    """Give a text that a value matches: a wildcard is one letter."""
    return "".join(part if isinstance(part, str) else "x" for part in value.parts if not isinstance(part, Variable))


_BESIDE: Final = timedelta(seconds=1)
_OTHERS: Final[Mapping[str, tuple[str, ...]]] = {
    ADDRESS: ("192.0.2.1", "10.0.0.1", "2001:db8::1"),
    "currenttime": ("2000-01-01T00:00:00+00:00", "2100-01-01T00:00:00+00:00"),
    "requestedttl": ("900", "43200"),
}


def _around(name: str, text: str) -> Iterator[str]:
    """Give a text and, where it is a number, an instant or a network, what is just beside it."""
    try:
        if name == ADDRESS:
            network = ipaddress.ip_network(text, strict=False)
            yield from (str(network.network_address), str(network.broadcast_address))
        elif name == "currenttime":
            instant = instant_of(text)
            yield from (moment.isoformat() for moment in (instant, instant - _BESIDE, instant + _BESIDE))
        elif name in {"tokenage", "requestedttl"}:
            whole = int(number_of(text))
            yield from (str(number) for number in (whole, whole + 1, whole - 1) if number >= 0)
        else:
            yield from (text, f"{text}x")
    except ValueError:
        return
