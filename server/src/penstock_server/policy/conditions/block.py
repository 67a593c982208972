"""A condition block, and whether it holds.

AND over operators and keys, OR over the values of one key. A missing key: a positive operator is false, a negated
one true, one with IfExists true. `ForAllValues` holds where every value of the request matches, so also where there is
none; `ForAnyValue` where at least one does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from penstock_server.policy.conditions.keys import Key
from penstock_server.policy.conditions.operators import Operator
from penstock_server.policy.conditions.patterns import Resolved, Value


class SetPrefix(Enum):
    """How an operator reads several values of the request."""

    NONE = ""
    ALL = "ForAllValues:"
    ANY = "ForAnyValue:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One operator on one key. `values` is never empty."""

    operator: Operator
    prefix: SetPrefix
    if_exists: bool
    key: Key
    values: tuple[Value, ...]

    def __str__(self) -> str:
        suffix = "IfExists" if self.if_exists else ""
        return f"`{self.prefix.value}{self.operator.name}{suffix}` on `{self.key}`"

    def holds(self, context: Mapping[str, tuple[str, ...]]) -> bool:
        """Tell whether the condition is true for a request."""
        found = context.get(self.key.name, ())
        if not found:
            return self._without_key()
        wanted = [resolved for value in self.values if (resolved := value.resolved(context)) is not None]
        if self.operator.negated and len(wanted) < len(self.values):
            # SECURITY: "not their own manager" must not open the table to whoever has no manager. IAM's guide has such
            # a condition true, an independent evaluator false; here what cannot be judged permits nothing.
            return False
        match self.prefix:
            case SetPrefix.NONE:
                # AWS: several values under an operator for one have no meaning; here they permit nothing.
                return len(found) == 1 and self._one(found[0], wanted)
            case SetPrefix.ALL:
                return all(self._one(value, wanted) for value in found)
            case SetPrefix.ANY:
                return any(self._one(value, wanted) for value in found)

    def _without_key(self) -> bool:
        if self.if_exists:
            return True
        match self.prefix:
            case SetPrefix.ALL:
                return True
            case SetPrefix.ANY:
                return False
            case SetPrefix.NONE:
                return self.operator.negated

    def _one(self, value: str, wanted: list[Resolved]) -> bool:
        try:
            # All of them, even after a match: one that cannot be judged makes the whole false, wherever it stands.
            results = [self.operator.test(value, one) for one in wanted]
        except ValueError:
            return False
        return any(results) is not self.operator.negated


@dataclass(frozen=True, slots=True, kw_only=True)
class NullCondition:
    """`Null: {KEY: "true"}`: the key is absent; `"false"`: it is there."""

    key: Key
    absent: bool

    def __str__(self) -> str:
        return f"`Null` on `{self.key}`"

    def holds(self, context: Mapping[str, tuple[str, ...]]) -> bool:
        """Tell whether the condition is true for a request."""
        return (not context.get(self.key.name)) is self.absent


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """All conditions of a grant; they hold together. No conditions = holds."""

    conditions: tuple[Condition | NullCondition, ...]

    def holds(self, context: Mapping[str, tuple[str, ...]]) -> bool:
        """Tell whether every condition is true for a request."""
        return all(condition.holds(context) for condition in self.conditions)

    def failing(self, context: Mapping[str, tuple[str, ...]]) -> tuple[Condition | NullCondition, ...]:
        """Give the conditions that are not true, for explanations."""
        return tuple(condition for condition in self.conditions if not condition.holds(context))
