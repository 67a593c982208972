"""The front's end of a reader's socket: brings ranges of one table's objects, and nothing else.

The bytes pass through undecoded. Whatever a store says of a fault stays here, for the operator's log.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence

from penstock_server.engines.duckdb.child import Child
from penstock_server.engines.duckdb.objects import ranges
from penstock_server.engines.duckdb.objects.paths import ObjectPath, path_of
from penstock_server.engines.duckdb.objects.ranges import BadQuestion, Range
from penstock_server.engines.duckdb.wire.frames import FrameKind
from penstock_server.engines.duckdb.wire.messages import ObjectsRequest
from penstock_server.model.objects import ObjectFault, StoredObject
from penstock_server.model.ports import ObjectStore
from penstock_server.model.resource import S3Location

log = logging.getLogger(__name__)

Bring = Callable[[StoredObject, int, int], Awaitable[bytes]]
"""Gives a range of an object: offset and length in bytes. Raises ObjectFault."""


class Courier:
    """Serves one reader until `end`. `fault` is what the store said where it did not give a range, else None."""

    def __init__(self, objects: Sequence[StoredObject], bring: Bring) -> None:
        self.fault: str | None = None
        self._objects = tuple(objects)
        self._sizes = tuple(stored.size for stored in objects)
        self._bring = bring
        self._mine, self._theirs = socket.socketpair()
        self._mine.setblocking(False)
        self._task: asyncio.Task[None] | None = None

    async def hand_to(self, child: Child) -> None:
        """Begin to serve, and give a child its end and the paths of the objects.

        Raises:
            BrokenConversation: the child is gone.
        """
        self._task = asyncio.create_task(self._serve(), name="courier")
        self._task.add_done_callback(lambda _: self._mine.close())
        paths = tuple(ObjectPath(path=path_of(stored), size=stored.size) for stored in self._objects)
        request = ObjectsRequest(objects=paths)
        await child.channel.send_with_descriptor(FrameKind.OBJECTS, request, self._theirs.fileno())
        # The end that is here would keep the reader's open when the reader is gone.
        self._theirs.close()

    def end(self) -> None:
        """Bring nothing any more."""
        self._theirs.close()
        if self._task is None:
            self._mine.close()
        else:
            self._task.cancel()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while (wanted := await self._question()) is not None:
                for brought in await asyncio.gather(*(self._brought(part) for part in wanted)):
                    mark = ranges.FAULT if brought is None else ranges.GIVEN
                    await loop.sock_sendall(self._mine, ranges.MARK.pack(mark))
                    if brought is not None:
                        await loop.sock_sendall(self._mine, brought)
        except OSError:
            return  # the reader is gone
        except BadQuestion as error:
            self.fault = str(error)
            log.warning("a source reader asks for what it may not have", extra={"fault": self.fault})
        except Exception:
            self.fault = "a fault of ours"
            log.exception("a courier ended by a fault of ours")

    async def _question(self) -> list[Range] | None:
        """Receive the next question; None where the reader closed. Raises BadQuestion."""
        head = await self._exactly(ranges.COUNT.size)
        if head is None:
            return None
        (count,) = ranges.COUNT.unpack(head)
        if count > ranges.MOST_RANGES:
            raise BadQuestion("a question of too many ranges")
        body = await self._exactly(count * ranges.RANGE.size)
        return None if body is None else ranges.asked(body, self._sizes)

    async def _brought(self, part: Range) -> bytes | None:
        try:
            return await self._bring(self._objects[part.number], part.offset, part.length)
        except ObjectFault as error:
            self.fault = str(error)
            return None

    async def _exactly(self, count: int) -> bytes | None:
        """Receive this many bytes; None where the reader closed."""
        loop = asyncio.get_running_loop()
        data = bytearray()
        while len(data) < count:
            # SECURITY: plain receiving takes no descriptors, so a reader cannot push any into the front.
            part = await loop.sock_recv(self._mine, count - len(data))
            if not part:
                return None
            data += part
        return bytes(data)


def courier_of(store: ObjectStore, objects: Sequence[StoredObject], *, within: S3Location) -> Courier:
    """Give a courier that brings these objects of a store, by rights that reach no further than `within`."""

    async def bring(stored: StoredObject, offset: int, length: int) -> bytes:
        return await store.read(stored, offset=offset, length=length, within=within)

    return Courier(objects, bring)
