"""Session policies as values, printed in one place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

MAX_CHARS = 2_048
"""AWS: inline and managed session policies together have at most 2,048 characters (STS API, AssumeRole, Policy)."""

Pattern = NewType("Pattern", str)
"""Text of an IAM policy in which `*`, `?` and `${...}` have their meaning: made by `literal` and the builders only."""

_ESCAPES = {"*": "${*}", "?": "${?}", "$": "${$}"}


class Effect(StrEnum):
    """What a statement does."""

    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One operator on one key; the values are alternatives (for a negated operator: none of them)."""

    operator: str
    key: str
    values: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Actions on resources under conditions, all of which must hold.

    `all_other_actions` makes `actions` a NotAction, `all_other_resources` makes `resources` a NotResource.
    """

    effect: Effect
    actions: tuple[str, ...]
    resources: tuple[Pattern, ...]
    conditions: tuple[Condition, ...]
    all_other_actions: bool = False
    all_other_resources: bool = False


def literal(text: str) -> Pattern:
    """Give the pattern that matches exactly this text.

    Source: IAM user guide, "IAM policy elements: Variables and tags", special characters.
    """
    # SECURITY: a key may hold `*` or `${aws:username}`; unescaped they would widen the policy.
    return Pattern("".join(_ESCAPES.get(character, character) for character in text))


def print_policy(statements: tuple[Statement, ...]) -> str:
    r"""Give the policy as compact JSON in ASCII.

    AWS takes U+0020 to U+00FF only, so that everything beyond ASCII is written as `\uXXXX`.
    """
    document = {"Version": "2012-10-17", "Statement": [_print(statement) for statement in statements]}
    return json.dumps(document, separators=(",", ":"), ensure_ascii=True)


def _print(statement: Statement) -> dict[str, object]:
    printed: dict[str, object] = {
        "Effect": statement.effect.value,
        "NotAction" if statement.all_other_actions else "Action": _one_or_many(statement.actions),
        "NotResource" if statement.all_other_resources else "Resource": _one_or_many(statement.resources),
    }
    if statement.conditions:
        block: dict[str, dict[str, object]] = {}
        for condition in statement.conditions:
            block.setdefault(condition.operator, {})[condition.key] = _one_or_many(condition.values)
        printed["Condition"] = block
    return printed


def _one_or_many(values: tuple[str, ...]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)
