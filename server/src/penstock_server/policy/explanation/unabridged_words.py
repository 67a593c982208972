"""The words of explanations to administrators: they name others, and what conditions are held against."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, assert_never

from penstock_server.model.principal import EveryoneOf, Group, Principal, PrincipalSelector, UserByName, UserBySubject
from penstock_server.policy.conditions.block import Condition, NullCondition
from penstock_server.policy.conditions.patterns import Value, Variable, Wildcard
from penstock_server.policy.conditions.posture import required
from penstock_server.policy.explanation.words import names, requirement_in_words
from penstock_server.policy.situation import Situation

MAX_NAMED: Final = 20
"""Most principals or values that one sentence names."""


def who_in_words(principal: Principal) -> str:
    """Name a principal as far as they are known."""
    name = f"`{principal.username}`" if principal.username is not None else "a principal without a username"
    subject = f", subject `{principal.subject}`" if principal.subject else ""
    return f"{name}{subject} of `{principal.issuer}`"


def principals_in_words(default_issuer: str, selectors: Iterable[PrincipalSelector]) -> str:
    """Name whom a grant, a rule or a denial names, as policies write them."""
    written = sorted(_selector(default_issuer, selector) for selector in selectors)
    more = f" and {len(written) - MAX_NAMED} more" if len(written) > MAX_NAMED else ""
    return names(written[:MAX_NAMED]) + more


def condition_against(condition: Condition | NullCondition, situation: Situation) -> str:
    """Say what a condition is held against, and what the request has."""
    requirement = required(condition)
    if requirement is not None:
        return requirement_in_words(*requirement, situation)[1]
    held = situation.values(condition.key)
    has = f"the request has {names(held)}" if held else "the request has no such value"
    match condition:
        case Condition():
            wanted = names(_written(value) for value in condition.values[:MAX_NAMED])
            more = f" and {len(condition.values) - MAX_NAMED} more" if len(condition.values) > MAX_NAMED else ""
            return f"{condition} is held against {wanted}{more}; {has}"
        case NullCondition():
            return f"{condition} asks for its {'absence' if condition.absent else 'presence'}; {has}"
        case _:
            assert_never(condition)


def _selector(default_issuer: str, selector: PrincipalSelector) -> str:
    match selector:
        case UserByName(username=name):
            return f"user:{name}"
        case UserBySubject(issuer=issuer, subject=subject):
            return f"user:{issuer}|{subject}"
        case EveryoneOf(issuer=issuer):
            return "everyone" if issuer == default_issuer else f"everyone@{issuer}"
        case Group(issuer=issuer, name=name):
            return f"group:{name}" if issuer == default_issuer else f"group:{name} of {issuer}"
        case _:
            assert_never(selector)


def _written(value: Value) -> str:
    """Write a value of a condition as its file has it, but for the escapes."""
    parts: list[str] = []
    for part in value.parts:
        match part:
            case Wildcard():
                parts.append(part.value)
            case Variable():
                parts.append(f"${{{part.key}}}")
            case str():
                parts.append(part)
    return "".join(parts)
