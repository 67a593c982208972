"""Reads the text of a session policy as AWS does, and understands all of it or nothing.

Only what session policies of Penstock need is known; every other element, operator or key is refused, above all:

1. an element that stands twice, in any nesting: of two readers each may take another;
2. NotAction or NotResource in an Allow: it would allow what nobody listed;
3. a policy variable: what AWS puts in its place is not known here; but for `${aws:userid}` as the one value of a key
   that tells an owner, where it is one unknown text on both sides;
4. an operator on a key of another kind, and condition keys that differ in case alone.

Names of actions and condition keys are compared without case, everything else as it stands.
Source: IAM user guide, "Grammar of the IAM JSON policy language", "IAM JSON policy elements: Condition operators".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Final

from penstock_server.credentials.proof.keys import OWNERS, SELF, KeyKind, kind_of
from penstock_server.credentials.proof.patterns import NotUnderstood, Pattern, read_pattern, read_text

MAX_CHARS: Final = 2_048
"""AWS: a session policy has at most 2,048 characters."""
_VERSION: Final = "2012-10-17"
_IF_EXISTS: Final = "IfExists"
_ACTION: Final = re.compile(r"[A-Za-z0-9:*?-]{1,128}", re.ASCII)
_INSTANT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)


class KeyTest(Enum):
    """What a condition asks of one key."""

    MATCHES = auto()
    """It is there, and one of the patterns matches it."""
    MATCHES_NONE = auto()
    """It is not there, or none of the patterns matches it."""
    MATCHES_IF_THERE = auto()
    """It is not there, or one of the patterns matches it."""
    ALL_AMONG = auto()
    """It is not there, or each of its elements is one of the texts."""
    SOME_OUTSIDE = auto()
    """It is there, and one of its elements is none of the texts."""
    ABSENT = auto()
    PRESENT = auto()
    BEFORE = auto()
    UNTIL = auto()
    AFTER = auto()
    SINCE = auto()


_TEXT_TESTS: Final[Mapping[str, tuple[KeyTest, Callable[[str], Pattern]]]] = {
    "StringEquals": (KeyTest.MATCHES, read_text),
    "StringLike": (KeyTest.MATCHES, read_pattern),
    "StringNotEquals": (KeyTest.MATCHES_NONE, read_text),
    "StringNotLike": (KeyTest.MATCHES_NONE, read_pattern),
}
_ELEMENT_TESTS: Final = {
    "ForAllValues:StringEquals": KeyTest.ALL_AMONG,
    "ForAnyValue:StringNotEquals": KeyTest.SOME_OUTSIDE,
}
_TRUTH_TESTS: Final = {"Bool": KeyTest.MATCHES, "BoolIfExists": KeyTest.MATCHES_IF_THERE}
_INSTANT_TESTS: Final = {
    "DateLessThan": KeyTest.BEFORE,
    "DateLessThanEquals": KeyTest.UNTIL,
    "DateGreaterThan": KeyTest.AFTER,
    "DateGreaterThanEquals": KeyTest.SINCE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One test of one key, whose name is in lower case; `patterns` or `instants` by its kind, none for presence."""

    key: str
    test: KeyTest
    patterns: tuple[Pattern, ...] = ()
    instants: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement. Actions are in lower case; `other_actions` makes them a NotAction, and so for resources."""

    allows: bool
    actions: tuple[Pattern, ...]
    other_actions: bool
    resources: tuple[Pattern, ...]
    other_resources: bool
    conditions: tuple[Condition, ...]


def read_policy(text: str) -> tuple[Statement, ...]:
    """Read a policy.

    Raises:
        NotUnderstood: it is no policy, or holds what is not known here.
    """
    if len(text) > MAX_CHARS:
        raise NotUnderstood(f"{len(text)} characters, which AWS would refuse")
    if not (text.isascii() and text.isprintable()):
        raise NotUnderstood("a character that is no printable ASCII")
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood("no JSON") from error
    _exactly(document, {"Version", "Statement"}, "the policy")
    if document["Version"] != _VERSION:
        raise NotUnderstood(f"the version {document['Version']!r}")
    statements = document["Statement"]
    if not isinstance(statements, list) or not statements:
        raise NotUnderstood("a Statement that is no list")
    return tuple(_statement(statement) for statement in statements)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotUnderstood("an element that stands twice")
    return found


def _exactly(value: object, names: set[str], where: str) -> None:
    if not isinstance(value, dict) or value.keys() != names:
        raise NotUnderstood(f"{where} has other elements than {', '.join(sorted(names))}")


def _statement(value: object) -> Statement:
    if not isinstance(value, dict):
        raise NotUnderstood("a statement that is no object")
    names = set(value) - {"Condition"}
    action = "NotAction" if "NotAction" in names else "Action"
    resource = "NotResource" if "NotResource" in names else "Resource"
    if names != {"Effect", action, resource}:
        raise NotUnderstood(f"a statement of {', '.join(sorted(map(str, value)))}")
    if value["Effect"] not in {"Allow", "Deny"}:
        raise NotUnderstood(f"the effect {value['Effect']!r}")
    allows = value["Effect"] == "Allow"
    if allows and (action == "NotAction" or resource == "NotResource"):
        raise NotUnderstood("an Allow of everything but what it lists")
    return Statement(
        allows=allows,
        actions=tuple(_action(text) for text in _texts(value[action], action)),
        other_actions=action == "NotAction",
        resources=tuple(read_pattern(text) for text in _texts(value[resource], resource)),
        other_resources=resource == "NotResource",
        conditions=_conditions(value.get("Condition", {})),
    )


def _action(text: str) -> Pattern:
    if _ACTION.fullmatch(text) is None:
        raise NotUnderstood(f"the action {text!r}")
    return read_pattern(text.lower())


def _conditions(block: object) -> tuple[Condition, ...]:
    if not isinstance(block, dict):
        raise NotUnderstood("a Condition that is no object")
    conditions: list[Condition] = []
    for operator, keys in block.items():
        if not isinstance(keys, dict) or not keys:
            raise NotUnderstood(f"{operator} that is no object of keys")
        if len({key.lower() for key in keys}) != len(keys):
            raise NotUnderstood(f"{operator} has a key twice")
        conditions.extend(_condition(operator, keys, key) for key in keys)
    return tuple(conditions)


def _condition(operator: str, keys: Mapping[str, object], name: str) -> Condition:
    key, texts = name.lower(), _texts(keys[name], operator)
    kind = kind_of(key)
    if kind is None:
        raise NotUnderstood(f"the condition key {name!r}")
    if operator == "Null":
        return _presence(key, texts, kind)
    if kind is KeyKind.INSTANT:
        test = _INSTANT_TESTS.get(operator)
        if test is None or len(texts) != 1:
            raise NotUnderstood(f"{operator} on {name}")
        return Condition(key=key, test=test, instants=(_instant(texts[0]),))
    if kind is KeyKind.ELEMENTS:
        among = _ELEMENT_TESTS.get(operator)
        if among is None:
            raise NotUnderstood(f"{operator} on {name}")
        return Condition(key=key, test=among, patterns=tuple(read_text(text) for text in texts))
    if kind is KeyKind.TRUTH:
        return _truth(operator, key, texts)
    return _text(operator, key, texts)


def _truth(operator: str, key: str, texts: list[str]) -> Condition:
    test = _TRUTH_TESTS.get(operator)
    if test is None or texts not in (["true"], ["false"]):
        raise NotUnderstood(f"{operator} on {key}")
    return Condition(key=key, test=test, patterns=(Pattern(texts[0]),))


def _text(operator: str, key: str, texts: list[str]) -> Condition:
    known = _TEXT_TESTS.get(operator.removesuffix(_IF_EXISTS))
    if known is None:
        raise NotUnderstood(f"{operator} on {key}")
    test, read = known
    if test is KeyTest.MATCHES and operator.endswith(_IF_EXISTS):
        test = KeyTest.MATCHES_IF_THERE
    if key in OWNERS:
        if read is not read_text or texts != [SELF]:
            raise NotUnderstood(f"{operator} on {key} with another value than {SELF}")
        return Condition(key=key, test=test, patterns=(Pattern(SELF),))
    return Condition(key=key, test=test, patterns=tuple(read(text) for text in texts))


def _presence(key: str, texts: list[str], kind: KeyKind) -> Condition:
    if kind is KeyKind.INSTANT or texts not in (["true"], ["false"]):
        raise NotUnderstood(f"Null on {key}")
    return Condition(key=key, test=KeyTest.ABSENT if texts == ["true"] else KeyTest.PRESENT)


def _texts(value: object, where: str) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise NotUnderstood(f"{where} that is no text and no list of texts")
    if any("\ud800" <= character <= "\udfff" for text in texts for character in text):
        raise NotUnderstood(f"{where} with half a character")
    return texts


def _instant(text: str) -> datetime:
    if _INSTANT.fullmatch(text) is None:
        raise NotUnderstood(f"the instant {text!r}")
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise NotUnderstood(f"the instant {text!r}") from error
