"""Which extracts are kept: found by key, made once, counted in permitted bytes, the longest unused let go first.

INVARIANT: what is kept, made or let go depends on decisions, files' states, permitted bytes and the order of
statements; never on how much is hidden.
"""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from penstock_server.engines.duckdb.extracts.extract import Extract, ExtractKey, MemoryFile
from penstock_server.engines.duckdb.extracts.usage import ExtractUsage, KeptExtract
from penstock_server.engines.duckdb.extracts.versions import RESTING, SourceVersion, rested, surroundings_of, version_of
from penstock_server.engines.duckdb.relations import SourceRelation
from penstock_server.model.decision import GovernedTable
from penstock_server.model.resource import TableName

log = logging.getLogger(__name__)

_MOST_KEPT: Final = 256
_MOST_REMEMBERED: Final = 1024
_MADE_AT_ONCE: Final = 2
_LONGEST_SECONDS: Final = 86_400.0

_LOOKS_EVERY_SECONDS: Final = 0.05
"""How often a making is looked at: a builder writes some megabytes meanwhile."""

DOUBTED_FOR: Final = timedelta(minutes=5)
"""How long an extract is kept under another policy without being asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a statement needs of one table; `columns` are in the order of the governed table.

    `expires_at` is the end of the decision: past it, nothing that was made for it is kept.
    """

    table: GovernedTable
    fingerprint: str
    source: SourceRelation
    columns: tuple[str, ...]
    expires_at: datetime | None


class DoesNotFit(Exception):
    """The permitted cells are more than may be kept."""


class _NoRoom(Exception):
    """Statements hold as much as may be kept besides what is kept."""


Make = Callable[[Wanted, ExtractKey], Coroutine[object, object, Extract]]
"""Makes an extract. Raises DoesNotFit, or Unavailable where the table cannot be read."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Making:
    """An extract under way; `begun` once it has its turn, `waiting` is how many want it."""

    columns: tuple[str, ...]
    task: asyncio.Task[Extract] = field(init=False)
    begun: bool = False
    waiting: int = 0


class ExtractStore:
    """Belongs to one event loop.

    `quota_bytes` bounds what is kept, and at which point nothing is made any more because of what statements hold
    besides; 0 = nothing is kept. All together, what is being made too (`growing` bytes), is never more than twice that.
    `resting` is how long a file must have been at rest before what was made of it is kept.
    """

    def __init__(
        self,
        make: Make,
        *,
        quota_bytes: int,
        resting: timedelta = RESTING,
        doubted_for: timedelta = DOUBTED_FOR,
        growing: Callable[[], int] = lambda: 0,
    ) -> None:
        self._make = make
        self._quota = quota_bytes
        self._growing = growing
        self._resting = resting
        self._kept: OrderedDict[ExtractKey, Extract] = OrderedDict()
        self._ends: dict[ExtractKey, asyncio.TimerHandle] = {}
        self._alive: weakref.WeakSet[MemoryFile] = weakref.WeakSet()
        self._making: dict[ExtractKey, _Making] = {}
        self._tasks: set[asyncio.Task[Extract]] = set()
        self._too_large: OrderedDict[ExtractKey, None] = OrderedDict()
        self._turns = asyncio.Semaphore(_MADE_AT_ONCE)
        self.usage = ExtractUsage()
        self._doubted: set[ExtractKey] = set()
        self._doubted_for = doubted_for
        self._doubt_ends: asyncio.TimerHandle | None = None

    @property
    def kept(self) -> tuple[Extract, ...]:
        """What is kept now, the longest unused first."""
        return tuple(self._kept.values())

    def listed(self) -> tuple[KeptExtract, ...]:
        """Give what is kept as an administrator sees it, by id."""
        return tuple(sorted((self.usage.shown(extract) for extract in self._kept.values()), key=lambda one: one.id))

    def drop_one(self, identifier: str) -> bool:
        """Let one go by its id; False where none of this id is kept. Who reads it now reads on."""
        key = self.usage.key_of(identifier)
        if key is None:
            return False
        self._let_go(key)
        return True

    def holds(self, table: tuple[str, str, str], fingerprint: str) -> bool:
        """Tell whether anything is kept of a table under a decision, whatever its source's state and its columns."""
        return any(key.table == table and key.fingerprint == fingerprint for key in self._kept)

    @property
    def bytes(self) -> int:
        """How much is kept."""
        return sum(extract.file.size for extract in self._kept.values())

    @property
    def bytes_lent(self) -> int:
        """How much statements hold that is not kept: it was let go meanwhile, or its source had not rested."""
        return sum(file.size for file in self._alive) - self.bytes

    async def get(self, wanted: Wanted, *, reader: object | None = None) -> Extract | None:
        """Give an extract that holds what is wanted, made now if need be; None where it cannot be kept.

        `reader` is who holds it, for the count of readers, as long as it lives. Whoever waits may go away: an extract
        that was begun is finished for the others.

        Raises:
            OSError: a file of the source is gone.
            Unavailable: the table cannot be read, or a process was lost.
        """
        if not self._quota:
            return None
        # A table may have tens of thousands of files, and a file system may hang: never on the event loop.
        version = await asyncio.to_thread(version_of, wanted.source)
        key = ExtractKey(table=wanted.table.name.key(), fingerprint=wanted.fingerprint, version=version)
        # INVARIANT: nothing is waited for from here until the extract is found or its making is known.
        if key in self._too_large:
            return None
        kept = self._kept.get(key)
        if kept is not None and kept.holds(wanted.columns):
            self._kept.move_to_end(key)
            self._doubted.discard(key)
            self.usage.hit(key)
            self.usage.read(key, reader)
            return kept
        self.usage.missed()
        making = self._making.get(key)
        if making is None or not set(wanted.columns) <= set(making.columns):
            known = kept.columns if kept is not None else ()
            making = self._begin(key, _with_columns(wanted, (*known, *(making.columns if making else ()))))
        making.waiting += 1
        try:
            extract = await asyncio.shield(making.task)
        except (DoesNotFit, _NoRoom):
            self.usage.unkept()
            return None
        else:
            self.usage.read(key, reader)
            return extract
        finally:
            making.waiting -= 1
            if not (making.waiting or making.begun):
                # SECURITY: else whoever asks and goes away, again and again, would fill the turns of everybody.
                self._forget(key, making)
                making.task.cancel()

    def doubt(self) -> None:
        """Another policy decides: let go what no statement asks for again within a while.

        A decision that another policy gives as it was has the same fingerprint, and its extract is served on.
        """
        self._doubted |= self._kept.keys()
        if self._doubt_ends is not None:
            self._doubt_ends.cancel()
        loop = asyncio.get_running_loop()
        self._doubt_ends = loop.call_later(self._doubted_for.total_seconds(), self._drop_doubted)

    def _drop_doubted(self) -> None:
        for key in self._doubted & self._kept.keys():
            self._let_go(key)
        self._doubted.clear()

    def drop(self) -> None:
        """Let everything go that is kept; who reads it now reads on."""
        for key in tuple(self._kept):
            self._let_go(key)

    async def close(self) -> None:
        """Let everything go, and end what is under way."""
        self.drop()
        if self._doubt_ends is not None:
            self._doubt_ends.cancel()
        # One that a wider one has taken the place of is under way too.
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, key: ExtractKey, wanted: Wanted) -> _Making:
        making = _Making(columns=wanted.columns)
        making.task = asyncio.create_task(self._made(key, wanted, making), name=f"extract of {wanted.table.name}")
        # What nobody waits for any more may fail unheard; the log has it.
        self._tasks.add(making.task)
        making.task.add_done_callback(self._tasks.discard)
        making.task.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        self._making[key] = making
        return making

    def _forget(self, key: ExtractKey, making: _Making) -> None:
        if self._making.get(key) is making:
            del self._making[key]

    async def _made(self, key: ExtractKey, wanted: Wanted, making: _Making) -> Extract:
        began = time.time_ns()
        try:
            async with self._turns:
                making.begun = True
                # SECURITY: one statement over many tables holds all of theirs: they must not fill the machine.
                if self.bytes_lent >= self._quota:
                    raise _NoRoom
                before = await asyncio.to_thread(surroundings_of, wanted.source)
                started = time.monotonic()
                extract = await self._within_bounds(self._make(wanted, key))
                self.usage.built(time.monotonic() - started)
                self._alive.add(extract.file)
            if await asyncio.to_thread(self._is_as_it_was, key, wanted, before, began):
                self._keep(extract, wanted.table.name, until=wanted.expires_at)
        except DoesNotFit:
            log.info("extract does not fit", extra={"table": str(wanted.table.name)})
            self._too_large[key] = None
            while len(self._too_large) > _MOST_REMEMBERED:
                self._too_large.popitem(last=False)
            raise
        finally:
            self._forget(key, making)
        return extract

    async def _within_bounds(self, making: Coroutine[object, object, Extract]) -> Extract:
        """Wait for a making, and look at it as it grows.

        SECURITY: what is kept, what statements hold and what is being made are in memory together: past twice the quota
        what is kept goes first, the longest unused before the others, and then the making ends.
        """
        task = asyncio.ensure_future(making)
        try:
            while not (await asyncio.wait((task,), timeout=_LOOKS_EVERY_SECONDS))[0]:
                while self._kept and self._held_bytes() > 2 * self._quota:
                    self._let_go(next(iter(self._kept)))
                    self.usage.evicted()
                if self._held_bytes() > 2 * self._quota:
                    log.warning("extract given up: no room", extra={"bytes": self._growing()})
                    raise _NoRoom
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))

    def _held_bytes(self) -> int:
        return sum(file.size for file in self._alive) + self._growing()

    def _let_go(self, key: ExtractKey) -> Extract:
        """Keep one no longer.

        INVARIANT: nothing here holds an extract that is not kept, or no count would have its bytes: its timer ends too.
        """
        end = self._ends.pop(key, None)
        if end is not None:
            end.cancel()
        self.usage.gone(key)
        return self._kept.pop(key)

    def _is_as_it_was(self, key: ExtractKey, wanted: Wanted, before: SourceVersion, began: int) -> bool:
        """Tell whether the files, and what leads to them, were in one state from before the reading until after it."""
        if not rested((*key.version, *before), now=began, resting=self._resting):
            return False
        try:
            return version_of(wanted.source) == key.version and surroundings_of(wanted.source) == before
        except OSError:
            return False

    def _keep(self, extract: Extract, table: TableName, *, until: datetime | None) -> None:
        stale = [key for key in self._kept if key.table == extract.key.table and key.version != extract.key.version]
        for key in (*stale, *({extract.key} & self._kept.keys())):
            self._let_go(key)
        self._kept[extract.key] = extract
        self.usage.kept(extract, table)
        self._doubted.discard(extract.key)
        if until is not None:
            left = (until - datetime.now(UTC)).total_seconds()
            timer = asyncio.get_running_loop().call_later(min(left, _LONGEST_SECONDS), self._let_go, extract.key)
            self._ends[extract.key] = timer
        while self._kept and (self.bytes > self._quota or len(self._kept) > _MOST_KEPT):
            gone = self._let_go(next(iter(self._kept)))
            self.usage.evicted()
            log.info("extract let go", extra={"bytes": gone.file.size, "rows": gone.rows})


def _with_columns(wanted: Wanted, more: tuple[str, ...]) -> Wanted:
    """Add columns: to make all that was ever asked at once is cheaper than to add to an extract."""
    asked = {*wanted.columns, *more}
    columns = tuple(governed.column.name for governed in wanted.table.columns if governed.column.name in asked)
    return replace(wanted, columns=columns)
