"""Until when a block's answer cannot change for one principal, if nothing but time passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from penstock_server.policy.conditions.block import Block, Condition, NullCondition
from penstock_server.policy.conditions.keys import instant_of
from penstock_server.policy.conditions.operators import number_of
from penstock_server.policy.conditions.patterns import literal

_AFTER = timedelta(microseconds=1)
_LAST = datetime.max.replace(tzinfo=UTC)


def changes(
    block: Block, context: Mapping[str, tuple[str, ...]], *, at: datetime, issued_at: datetime
) -> tuple[datetime, ...]:
    """Give each instant after `at` at which the block may turn true or false, in order.

    An operator with `<=` turns just after its instant and one with `<` at it, so both are given.
    """
    found = {
        moment
        for condition in block.conditions
        if isinstance(condition, Condition)
        for turn in _turns(condition, context, issued_at)
        for moment in (turn, turn + _AFTER if turn < _LAST else turn)
        if moment > at
    }
    return tuple(sorted(found))


def reads_address(block: Block) -> bool:
    """Tell whether the block looks at the caller's address, which a credential would not carry by itself."""
    return any(_key(condition) == "sourceip" for condition in block.conditions)


def _key(condition: Condition | NullCondition) -> str:
    return condition.key.name


def _turns(condition: Condition, context: Mapping[str, tuple[str, ...]], issued_at: datetime) -> Iterator[datetime]:
    if condition.key.name not in {"currenttime", "tokenage"}:
        return
    for value in condition.values:
        resolved = value.resolved(context)
        text = literal(resolved) if resolved is not None else None
        if text is None:
            continue
        try:
            if condition.key.name == "currenttime":
                yield instant_of(text)
            else:
                # The age counts whole seconds, so it turns at a second of its own.
                seconds = int(number_of(text))
                yield issued_at + timedelta(seconds=seconds)
                yield issued_at + timedelta(seconds=seconds + 1)
        except (ValueError, OverflowError):
            # What is beyond the calendar is never reached; what is no number never holds.
            continue
