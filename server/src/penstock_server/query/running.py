"""The statements under way: who runs what since when, and how one is ended from outside."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from penstock_server.model.clock import Clock
from penstock_server.model.ports import TokenFloors
from penstock_server.model.principal import Principal
from penstock_server.query.ending import EndCause
from penstock_server.query.reading import takes_away
from penstock_server.query.resolution import PolicyInForce
from penstock_server.query.statement import Statement


class Phase(StrEnum):
    """Where a statement stands: it waits for its turn, is looked at and supplied, or has been admitted."""

    WAITING = "waiting"
    PREPARING = "preparing"
    ANSWERING = "answering"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningStatement:
    """A statement under way as an administrator sees it: never its text, its parameters or its answer.

    `tables` are those that it reads, once that is known.
    """

    id: str
    principal: Principal
    phase: Phase
    began_at: datetime
    tables: tuple[str, ...]


class RunningStatements:
    """Belongs to one event loop. A statement stands in it from before its turn until its process is gone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._statements: dict[str, Statement] = {}
        self._looked: dict[str, PolicyInForce] = {}
        self.ended: Counter[EndCause] = Counter()

    def __len__(self) -> int:
        return len(self._statements)

    @contextmanager
    def holding(self, statement: Statement) -> Iterator[None]:
        """List a statement for the length of the block, which the task that runs it must enter."""
        key = statement.context.request_id
        self._statements[key] = statement
        try:
            yield
        finally:
            del self._statements[key]
            self._looked.pop(key, None)

    def listed(self) -> tuple[RunningStatement, ...]:
        """Give all of them, the oldest first."""
        return tuple(_shown(statement) for statement in self._statements.values())

    def end(self, statement_id: str, cause: EndCause) -> bool:
        """End one; False where there is none of this id."""
        statement = self._statements.get(statement_id)
        if statement is None:
            return False
        self._end(statement, cause)
        return True

    def end_revoked(self, floors: TokenFloors) -> int:
        """End those whose token would be refused now; gives how many."""
        revoked = [one for one in self._statements.values() if _is_revoked(one.principal, floors)]
        for statement in revoked:
            self._end(statement, EndCause.REVOKED)
        return len(revoked)

    async def end_taken_away(self, policy: PolicyInForce) -> int:
        """End those of whose reading a policy takes something away; gives how many. Each is looked at once a policy."""
        ended = 0
        for key, statement in tuple(self._statements.items()):
            reading = statement.reading
            if reading is None or reading.policy is policy or self._looked.get(key) is policy:
                continue
            facts = statement.context.facts(at=self._clock.now())
            if key in self._statements and takes_away(policy, reading, statement.principal, facts):
                self._end(statement, EndCause.POLICY)
                ended += 1
            elif key in self._statements:
                self._looked[key] = policy
            # Decisions take time; calls go on between them.
            await asyncio.sleep(0)
        return ended

    def _end(self, statement: Statement, cause: EndCause) -> None:
        if statement.end(cause):
            self.ended[cause] += 1


def _is_revoked(principal: Principal, floors: TokenFloors) -> bool:
    floor = floors.floor(principal.issuer, principal.subject)
    return floor is not None and principal.issued_at.timestamp() <= floor


def _shown(statement: Statement) -> RunningStatement:
    reading = statement.reading
    phase = Phase.WAITING if not statement.began else Phase.ANSWERING if statement.answering else Phase.PREPARING
    return RunningStatement(
        id=statement.context.request_id,
        principal=statement.principal,
        phase=phase,
        began_at=statement.arrived_at,
        tables=() if reading is None else tuple(str(name) for name, _ in reading.used),
    )
