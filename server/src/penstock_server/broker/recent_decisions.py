"""Decisions that were just made, so that a caller who asks again does not wait for the same work."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from penstock_server.model.decision import TableDecision, TableOutcome
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.evaluation import resolve

MAX_DECISIONS = 1_024
MAX_AGE = timedelta(seconds=10)
_NO_INSTANT = datetime.min.replace(tzinfo=UTC)

_Key = tuple[Principal, tuple[str, ...], str | None, RequestFacts]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remembered:
    decision: TableDecision
    made_at: datetime
    until: datetime


class RecentDecisions:
    """Resolves by one bound policy, and remembers what may be queried for a few seconds.

    INVARIANT: a decision is a function of policy, principal, name and the facts of the request. The key holds all of
    them (the whole principal, whatever of it may count), but for the instant, which `expires_at` bounds.

    Only decisions that allow are kept: what is hidden or described is decided anew each time.
    """

    def __init__(self, policy: BoundPolicy) -> None:
        self.policy = policy
        self._remembered: OrderedDict[_Key, _Remembered] = OrderedDict()

    def resolve(
        self, principal: Principal, parts: tuple[str, ...], *, default_catalog: str | None, facts: RequestFacts
    ) -> TableOutcome:
        """Decide about a table as it was named. Raises as `policy.evaluation.resolve`."""
        key = (principal, parts, default_catalog, replace(facts, at=_NO_INSTANT))
        at = facts.at
        found = self._remembered.get(key)
        # SECURITY: an instant before the decision was made is another question too: clocks may be set back.
        if found is not None and found.made_at <= at < found.until:
            self._remembered.move_to_end(key)
            return found.decision
        outcome = resolve(self.policy, principal, parts, default_catalog=default_catalog, facts=facts)
        self._remember(key, outcome, at)
        return outcome

    def _remember(self, key: _Key, outcome: TableOutcome, at: datetime) -> None:
        self._remembered.pop(key, None)
        if not isinstance(outcome, TableDecision):
            return
        until = at + MAX_AGE
        if outcome.expires_at is not None:
            until = min(until, outcome.expires_at)
        self._remembered[key] = _Remembered(decision=outcome, made_at=at, until=until)
        if len(self._remembered) > MAX_DECISIONS:
            self._remembered.popitem(last=False)
