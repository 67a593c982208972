"""A small evaluator of IAM policies, written from the IAM user guide and from nothing of ours.

It knows the elements, operators and escapes that session policies of ours use, and fails on any other: what it can't
judge is not passed. `tests/integration/credentials` compares it with an evaluator that somebody else wrote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from operator import ge, gt, le, lt
from typing import Any

_INSTANTS = {"DateGreaterThanEquals": ge, "DateGreaterThan": gt, "DateLessThan": lt, "DateLessThanEquals": le}


class Verdict(StrEnum):
    """What a policy says to a request."""

    ALLOWED = "Allowed"
    IMPLICITLY_DENIED = "ImplicitlyDenied"
    EXPLICITLY_DENIED = "ExplicitlyDenied"


def evaluate(policy: str, *, action: str, resource: str, context: Mapping[str, str]) -> Verdict:
    """Evaluate one request against one policy: an explicit denial wins, then an allowance."""
    document = _parsed(policy)
    assert document.keys() == {"Version", "Statement"}
    assert document["Version"] == "2012-10-17"
    effects = {
        statement["Effect"]
        for statement in document["Statement"]
        if _applies(statement, action=action, resource=resource, context=context)
    }
    if "Deny" in effects:
        return Verdict.EXPLICITLY_DENIED
    return Verdict.ALLOWED if "Allow" in effects else Verdict.IMPLICITLY_DENIED


@lru_cache(maxsize=64)
def _parsed(policy: str) -> dict[str, Any]:
    document = json.loads(policy)
    assert isinstance(document, dict)
    return document


def _applies(statement: dict[str, Any], *, action: str, resource: str, context: Mapping[str, str]) -> bool:
    assert statement["Effect"] in {"Allow", "Deny"}
    unknown = statement.keys() - {"Effect", "Action", "NotAction", "Resource", "NotResource", "Condition", "Sid"}
    assert not unknown, unknown
    assert ("Action" in statement) != ("NotAction" in statement)
    assert ("Resource" in statement) != ("NotResource" in statement)
    if "Action" in statement:
        applies = any(like(pattern.lower(), action.lower()) for pattern in _many(statement["Action"]))
    else:
        applies = not any(like(pattern.lower(), action.lower()) for pattern in _many(statement["NotAction"]))
    if "Resource" in statement:
        applies &= any(like(pattern, resource) for pattern in _many(statement["Resource"]))
    else:
        applies &= not any(like(pattern, resource) for pattern in _many(statement["NotResource"]))
    applies &= holding(statement.get("Condition", {}), context)
    return applies


def holding(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    """Tell whether a Condition holds; names of keys are compared without case."""
    present = {key.lower(): value for key, value in context.items()}
    return all(
        _holds(operator, present.get(key.lower()), _many(values))
        for operator, keys in conditions.items()
        for key, values in keys.items()
    )


def _holds(operator: str, value: str | None, wanted: list[str]) -> bool:
    match operator:
        case "StringEquals":
            assert not any("${" in text for text in wanted)
            return value is not None and value in wanted
        case "StringNotEquals":
            return not _holds("StringEquals", value, wanted)
        case "ArnEquals":
            # Six parts, each by itself; what we compare has no wildcards, and then it is equality.
            assert not any("*" in text or "?" in text for text in wanted)
            return value is not None and value in wanted
        case "StringLike":
            return value is not None and any(like(pattern, value) for pattern in wanted)
        case "StringNotLike":
            return not _holds("StringLike", value, wanted)
        case "StringEqualsIfExists" | "StringLikeIfExists":
            return value is None or _holds(operator.removesuffix("IfExists"), value, wanted)
        case "StringNotEqualsIfExists" | "StringNotLikeIfExists":
            return _holds(operator.removesuffix("IfExists"), value, wanted)
        case "Null":
            assert wanted in (["true"], ["false"])
            return (value is None) == (wanted == ["true"])
        case _ if operator in _INSTANTS:
            (instant,) = wanted
            compared = _INSTANTS[operator]
            return value is not None and compared(datetime.fromisoformat(value), datetime.fromisoformat(instant))
        case _:
            raise AssertionError(f"this evaluator does not know {operator}")


def like(pattern: str, text: str) -> bool:
    """Tell whether a pattern of IAM matches a text."""
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        if pattern.startswith("${", position):
            escape = pattern[position : position + 4]
            assert escape in {"${*}", "${?}", "${$}"}, f"a policy variable in {pattern!r}"
            parts.append(re.escape(escape[2]))
            position += 4
            continue
        character = pattern[position]
        parts.append({"*": ".*", "?": "."}.get(character, re.escape(character)))
        position += 1
    return re.compile("".join(parts), re.DOTALL)


def _many(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
