"""Asks the queries of rules datasets again while the policy decides.

What a query gives replaces that one dataset, whole, in a turn with all loads of the policy. One that fails changes
nothing: what was there counts until it is too old, and then shows nobody a row (`BoundRowRules.stale`), whether or not
anything here still runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from penstock_server.broker.loading import LoadedPolicy
from penstock_server.broker.reloading import Cause, PolicyLoader
from penstock_server.broker.rules_queries import RulesAsking
from penstock_server.broker.service_records import ServiceRecords
from penstock_server.errors import ConfigurationError, PenstockError
from penstock_server.model.clock import Clock
from penstock_server.model.ports import RulesReader
from penstock_server.policy.rules.queries import asked_rules, same_dataset, taken_over, with_rules
from penstock_server.policy.rules.rebinding import rebind_row_rules
from penstock_server.policy.source import RowRulesSource, RulesQuery

log = logging.getLogger(__name__)

RETRY: Final = timedelta(minutes=1)
"""After how long a query that failed is asked again, where `refresh` is longer."""
_PAUSE: Final = timedelta(seconds=1)
"""Between two looks at what is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesState:
    """How a dataset from a query stands. `failing` since when its query fails, or None; `stale` = it shows no row."""

    name: str
    failing: datetime | None
    stale: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempts:
    """The tries of one dataset: the last one, and the first of those that failed since one succeeded."""

    last: datetime
    failing: datetime | None
    told_stale: bool


class RulesRefresh:
    """Keeps the datasets of the policy that decides fresh, one query at a time."""

    def __init__(self, *, loader: PolicyLoader, reader: RulesReader, records: ServiceRecords, clock: Clock) -> None:
        self._loader = loader
        self._reader = reader
        self._records = records
        self._clock = clock
        self._attempts: dict[tuple[object, ...], _Attempts] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; after the first policy is loaded."""
        self._task = asyncio.create_task(self._run(), name="rules refresh")

    async def close(self) -> None:
        """End, with the query under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    def states(self) -> tuple[RulesState, ...]:
        """Tell how each dataset from a query stands. Raises Unavailable (`POLICY_NOT_LOADED`)."""
        now = self._clock.now()
        return tuple(
            RulesState(
                name=rules.name,
                failing=attempts.failing if (attempts := self._attempts.get(same_dataset(rules))) else None,
                stale=_fresh_until(rules) <= now,
            )
            for rules, _ in asked_rules(self._loader.loaded().source)
        )

    async def refresh_due(self) -> None:
        """Ask every query that is due now, and put in force what they give."""
        # Entries that ask the same are one question; its answer goes to all of them.
        for rules in {same_dataset(rules): rules for rules in self._due()}.values():
            await self._refresh(rules)

    async def _run(self) -> None:
        while True:
            try:
                await self.refresh_due()
            except Exception:  # what goes wrong once must not let every dataset grow old
                log.exception("rules refresh failed by a fault of ours")
            await asyncio.sleep(_PAUSE.total_seconds())

    def _due(self) -> Iterator[RowRulesSource]:
        now = self._clock.now()
        for rules, query in asked_rules(self._loader.loaded().source):
            attempts = self._attempts.get(same_dataset(rules))
            asked_at = _asked_at(rules, query)
            last = asked_at if attempts is None else max(asked_at, attempts.last)
            failing = attempts is not None and attempts.failing is not None
            pause = min(query.refresh, RETRY) if failing else query.refresh
            # A clock that was set back must not keep a query from being asked.
            if not last <= now < last + pause:
                yield rules

    async def _refresh(self, rules: RowRulesSource) -> None:
        loaded = self._loader.loaded()
        began = self._clock.now()
        try:
            asking = RulesAsking(loaded.source, loaded.bound.snapshot, self._reader, self._clock)
            fresh = await asking.ask(rules)
        except ConfigurationError as error:
            await self._failed(rules, began, error.problems)
            return
        except PenstockError as error:
            await self._failed(rules, began, (f"{error.message}: {error.detail}",))
            return
        outcome = await self._loader.amend(Cause.RULES, lambda before: _amended(before, fresh), datasets=(rules.name,))
        if outcome.failed:
            await self._failed(rules, began, outcome.problems)
            return
        if self._failing(rules) is not None:
            log.info("rules query works again", extra={"dataset": rules.name})
        self._attempts[same_dataset(rules)] = _Attempts(last=began, failing=None, told_stale=False)

    async def _failed(self, rules: RowRulesSource, began: datetime, problems: tuple[str, ...]) -> None:
        """Note a failure: each in the log; the first, and that the dataset is too old, in the audit too."""
        failing = self._failing(rules) or began
        stale = _fresh_until(rules) <= self._clock.now()
        before = self._attempts.get(same_dataset(rules))
        told_stale = before is not None and before.told_stale
        self._attempts[same_dataset(rules)] = _Attempts(last=began, failing=failing, told_stale=stale)
        for problem in problems:
            log.error("rules query failed", extra={"dataset": rules.name, "problem": problem, "stale": stale})
        if failing == began or stale is not told_stale:
            try:
                version = self._loader.loaded().bound.version
                await self._records.rules_refresh_failed(rules.name, version, problems=problems, stale=stale)
            except PenstockError as error:
                log.warning("a failed rules query is not in the audit", extra={"detail": error.detail})

    def _failing(self, rules: RowRulesSource) -> datetime | None:
        attempts = self._attempts.get(same_dataset(rules))
        return None if attempts is None else attempts.failing


async def _amended(before: LoadedPolicy, fresh: RowRulesSource) -> LoadedPolicy:
    """Give the policy with a fresh dataset in each entry that asks for it, or the same where a load has overtaken it.

    INVARIANT: what was asked earlier never replaces what was asked later.
    """
    taken = [
        taken_over(rules, fresh)
        for rules, _ in asked_rules(before.source)
        if same_dataset(rules) == same_dataset(fresh) and _fresh_until(rules) < _fresh_until(fresh)
    ]
    if not taken:
        return before
    source = with_rules(before.source, taken)
    names = frozenset(rules.name for rules in taken)
    bound = await asyncio.to_thread(rebind_row_rules, before.bound, source, names)
    return replace(before, source=source, bound=bound)


def _fresh_until(rules: RowRulesSource) -> datetime:
    if rules.fresh_until is None:
        raise ValueError("a dataset of a policy that decides has been asked for")
    return rules.fresh_until


def _asked_at(rules: RowRulesSource, query: RulesQuery) -> datetime:
    return _fresh_until(rules) - query.max_staleness
