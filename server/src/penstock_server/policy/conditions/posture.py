"""`requires` as conditions: that a bucket is known to be encrypted, or private.

They stand in a grant's block beside its own, and hold by the same rules: a bucket of which nothing is known makes a
key that is absent, and then a positive operator is false. No policy file can name these keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from penstock_server.model.posture import BucketPosture, Finding, Posture, Requirement
from penstock_server.policy.conditions.block import Block, Condition, NullCondition, SetPrefix
from penstock_server.policy.conditions.keys import POSTURE, Key, Kind
from penstock_server.policy.conditions.operators import OPERATORS
from penstock_server.policy.conditions.patterns import Value

_YES: Final = "true"


def requiring(requirements: frozenset[Requirement], bucket: str, conditions: Block | None) -> Block | None:
    """Give the conditions of a grant with what it requires of a bucket."""
    added = tuple(_condition(requirement, bucket) for requirement in Requirement if requirement in requirements)
    own = () if conditions is None else conditions.conditions
    return Block(conditions=(*own, *added)) if own or added else None


def required(condition: Condition | NullCondition) -> tuple[Requirement, str] | None:
    """Give the requirement and the bucket of a condition made here; None for any other."""
    name = condition.key.name
    if not name.startswith(POSTURE):
        return None
    requirement, _, bucket = name.removeprefix(POSTURE).partition("/")
    return Requirement(requirement), bucket


def posture_values(posture: Posture, *, at: datetime) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Give the keys that are present at an instant, with their values."""
    for found in posture.buckets:
        for requirement in Requirement:
            if posture.meets(found.bucket, requirement, at=at):
                yield _name(requirement, found.bucket), (_YES,)


def posture_turns(block: Block, posture: Posture, *, at: datetime) -> Iterator[datetime]:
    """Give the instants after `at` from which what a block requires is not known any more."""
    for condition in block.conditions:
        found = required(condition)
        until = None if found is None else posture.until(found[1])
        if until is not None and until > at:
            yield until


def all_met(blocks: Iterable[Block], *, at: datetime) -> Posture:
    """Give a posture, for explanations alone, in which all that these blocks require is met at an instant."""
    asked = (required(condition) for block in blocks for condition in block.conditions)
    return Posture(
        buckets=tuple(
            BucketPosture(
                bucket=bucket,
                checked_at=at,
                findings=tuple(Finding(requirement=each, met=True, why="", remedy="") for each in Requirement),
            )
            for bucket in sorted({found[1] for found in asked if found is not None})
        ),
        max_age=timedelta(minutes=1),
    )


def posture_of_values(given: Mapping[str, tuple[str, ...]]) -> frozenset[tuple[str, Requirement]]:
    """Give the buckets and requirements whose keys are present among values of keys."""
    names = (name.removeprefix(POSTURE).partition("/") for name in given if name.startswith(POSTURE))
    return frozenset((bucket, Requirement(requirement)) for requirement, _, bucket in names)


def _condition(requirement: Requirement, bucket: str) -> Condition:
    return Condition(
        operator=OPERATORS["stringequals"],
        prefix=SetPrefix.NONE,
        if_exists=False,
        key=Key(name=_name(requirement, bucket), kind=Kind.TEXT, multivalued=False),
        values=(Value(parts=(_YES,)),),
    )


def _name(requirement: Requirement, bucket: str) -> str:
    return f"{POSTURE}{requirement.value}/{bucket}"
