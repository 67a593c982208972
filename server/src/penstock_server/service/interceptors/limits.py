"""How many calls one identity, and all together, may have under way."""

from __future__ import annotations

from collections import Counter

from penstock_server.errors import LimitExceeded, Reason
from penstock_server.service.calls import Call, Proceed

CALLS_PER_IDENTITY = 64
CALLS = 2_048


class Limits:
    """Bounds what calls can hold in memory, those whose client has stopped reading too.

    SECURITY: without it one client could pile up streams that nobody reads, a few MiB each
    (test_one_identity_cannot_hold_more_calls_than_its_share).
    """

    def __init__(self, *, calls: int = CALLS, calls_per_identity: int = CALLS_PER_IDENTITY) -> None:
        self._calls = calls
        self._calls_per_identity = calls_per_identity
        self._under_way: Counter[tuple[str, str]] = Counter()
        self._total = 0

    async def around(self, call: Call, proceed: Proceed) -> bytes | None:
        """Let the call proceed. Raises LimitExceeded (`QUEUE_FULL`)."""
        if call.principal is None:
            return await proceed()
        owner = (call.principal.issuer, call.principal.subject)
        if self._under_way[owner] >= self._calls_per_identity:
            raise _full("calls of one identity", self._calls_per_identity)
        if self._total >= self._calls:
            raise _full("calls", self._calls)
        self._under_way[owner] += 1
        self._total += 1
        # Not when the method returns: a status waits behind the messages that a stalled client does not take.
        call.transport.add_done_callback(lambda _: self._done(owner))
        return await proceed()

    def _done(self, owner: tuple[str, str]) -> None:
        self._total -= 1
        self._under_way[owner] -= 1
        if not self._under_way[owner]:
            del self._under_way[owner]


def _full(limit: str, value: int) -> LimitExceeded:
    return LimitExceeded(
        Reason.QUEUE_FULL,
        "too many calls are under way",
        limit=limit,
        value=str(value),
        retry_after_seconds=2.0,
        hint="try again in a few seconds",
    )
