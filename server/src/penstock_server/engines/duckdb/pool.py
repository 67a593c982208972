"""Children opened ahead of need, each for one conversation."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import TypeVar

from penstock_server.engines.duckdb.child import Child
from penstock_server.engines.duckdb.control import ZygoteControl, worker_lost
from penstock_server.engines.duckdb.wire.frames import BrokenConversation, FrameKind
from penstock_server.engines.duckdb.wire.messages import ChildKind, Opened, Opening
from penstock_server.errors import PenstockError

log = logging.getLogger(__name__)

T = TypeVar("T")

_OPENING_SECONDS = 30.0
_REFILL_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """How one kind of children is kept: `ahead` of them are always opened, each with this `opening`."""

    kind: ChildKind
    opening: Opening
    ahead: int


async def open_child(control: ZygoteControl, kind: ChildKind, opening: Opening) -> Child:
    """Have a child forked and opened; it belongs to the caller, who discards it.

    Raises:
        Unavailable: it cannot be had, or it did not open (`WORKER_LOST`).
    """
    child = await control.fork(kind)
    try:
        async with asyncio.timeout(_OPENING_SECONDS):
            await child.channel.send(FrameKind.OPEN, opening)
            await child.expect(FrameKind.OPENED, Opened)
    except (BrokenConversation, TimeoutError) as error:
        child.discard()
        raise worker_lost(f"a {kind} did not open") from error
    except BaseException:
        child.discard()
        raise
    return child


class ChildPool:
    """Gives opened children of one kind and replaces those that were taken.

    A taken child belongs to the taker, who discards it. Start it on the event loop that uses it.
    """

    def __init__(self, control: ZygoteControl, stock: Stock) -> None:
        self._control = control
        self._stock = stock
        self._ready: deque[Child] = deque()
        self._wanted = asyncio.Event()
        self._refiller: asyncio.Task[None] | None = None

    @property
    def ready(self) -> int:
        """How many children are opened and wait."""
        return sum(1 for child in self._ready if self._usable(child))

    def start(self) -> None:
        """Begin to open children ahead."""
        self._wanted.set()
        self._refiller = asyncio.create_task(self._refill(), name=f"refill {self._stock.kind}")

    async def close(self) -> None:
        """Stop opening children and discard those that wait."""
        if self._refiller is not None:
            self._refiller.cancel()
            await asyncio.gather(self._refiller, return_exceptions=True)
        while self._ready:
            self._ready.popleft().discard()

    async def take(self) -> Child:
        """Give an opened child, at once where one waits.

        Raises:
            Unavailable: no child can be had (`WORKER_LOST`).
        """
        try:
            while self._ready:
                child = self._ready.popleft()
                if self._usable(child):
                    return child
                child.discard()
            return await open_child(self._control, self._stock.kind, self._stock.opening)
        finally:
            self._wanted.set()

    def _usable(self, child: Child) -> bool:
        return child.alive and child.generation == self._control.generation

    async def _refill(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self.ready < self._stock.ahead:
                try:
                    self._ready.append(await open_child(self._control, self._stock.kind, self._stock.opening))
                except PenstockError as error:
                    log.warning("no %s could be opened ahead: %s", self._stock.kind, error.detail)
                    await asyncio.sleep(_REFILL_PAUSE_SECONDS)
                except Exception:  # a fault once must not leave the pool empty for ever
                    log.exception("no %s could be opened ahead by a fault of ours", self._stock.kind)
                    await asyncio.sleep(_REFILL_PAUSE_SECONDS)
