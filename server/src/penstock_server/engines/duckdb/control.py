"""The front's end of the zygote's control socket: asks for children without ever waiting on the event loop."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import secrets
import socket
from dataclasses import dataclass

from penstock_server.engines.duckdb.child import Child
from penstock_server.engines.duckdb.wire.encoding import decode, encode
from penstock_server.engines.duckdb.wire.frames import BrokenConversation
from penstock_server.engines.duckdb.wire.messages import ChildKind, ForkReply, ForkRequest
from penstock_server.errors import Reason, Unavailable

log = logging.getLogger(__name__)

_REPLY_BYTES = 4096
_CONVERSATION_BUFFER = 4 << 20


def worker_lost(detail: str) -> Unavailable:
    """Give the error for a child or a zygote that went away; `detail` is for the log."""
    return Unavailable(
        Reason.WORKER_LOST,
        "the process that served this statement was lost",
        retry_after_seconds=1.0,
        hint="run the statement again",
        detail=detail,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    reply: asyncio.Future[tuple[int, int]]
    connection: socket.socket


class ZygoteControl:
    """Forks children through whichever zygote is attached; survives the loss of one.

    `generation` counts the zygotes that were let go.

    `patience_seconds` bounds how long a fork waits for a zygote to be attached or to answer.
    """

    def __init__(self, *, patience_seconds: float) -> None:
        self._patience = patience_seconds
        self._socket: socket.socket | None = None
        self.generation = 0
        self._attached = asyncio.Event()
        self._sending = asyncio.Lock()
        self._pending: dict[int, asyncio.Future[tuple[int, int]]] = {}
        # From a random start: an answer that an earlier holder of this control socket left unread is never taken for
        # ours, with a pidfd that kills another's child.
        self._children: set[Child] = set()
        self._numbers = itertools.count(secrets.randbits(48))

    @property
    def attached(self) -> bool:
        """Tell whether there is a zygote."""
        return self._socket is not None

    def attach(self, control: socket.socket) -> None:
        """Use this zygote from now on, in place of the one before. Owns the socket."""
        self.detach()
        control.setblocking(False)
        self._socket = control
        asyncio.get_running_loop().add_reader(control.fileno(), self._on_readable, control)
        self._attached.set()

    def detach(self) -> None:
        """Let the zygote go: it ends, and all its children with it; forks under way fail."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
            self.generation += 1
        self._attached.clear()
        pending, self._pending = self._pending, {}
        for reply in pending.values():
            if not reply.done():
                reply.set_exception(worker_lost("the zygote is gone"))

    async def fork(self, kind: ChildKind) -> Child:
        """Have a child forked.

        Raises:
            Unavailable: there is no zygote, it went away, or it could not fork; or no descriptor is left
                (`WORKER_LOST`).
        """
        try:
            async with asyncio.timeout(self._patience):
                return await self._fork(kind)
        except TimeoutError as error:
            raise worker_lost("no zygote answered in time") from error

    async def _fork(self, kind: ChildKind) -> Child:
        await self._attached.wait()
        generation = self.generation
        try:
            mine, theirs = socket.socketpair()
        except OSError as error:
            raise worker_lost(f"no conversation: {error.strerror}") from error
        try:
            mine.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _CONVERSATION_BUFFER)
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _CONVERSATION_BUFFER)
            with theirs:
                number, reply = await self._ask(kind, theirs.fileno())
            try:
                process, handle = await reply
            except asyncio.CancelledError:
                self._abandon(number, reply)
                raise
        except BaseException:
            mine.close()
            raise
        child = Child(process=process, handle=handle, connection=mine, generation=generation)
        self._children = {other for other in self._children if not other.over} | {child}
        return child

    async def settle(self, seconds: float) -> None:
        """Wait until every child that was forked has ended, but no longer than this; discard them first."""
        try:
            async with asyncio.timeout(seconds):
                for child in self._children:
                    await child.ended()
        except TimeoutError:
            log.warning("children still end")

    async def _ask(self, kind: ChildKind, descriptor: int) -> tuple[int, asyncio.Future[tuple[int, int]]]:
        async with self._sending:
            number = next(self._numbers)
            message = encode(ForkRequest(number=number, kind=kind))
            while True:
                control = self._socket
                if control is None:
                    raise worker_lost("the zygote is gone")
                try:
                    socket.send_fds(control, [message], [descriptor])
                    break
                except BlockingIOError:
                    await self._writable(control)
                except OSError as error:
                    raise worker_lost("the zygote is gone") from error
            reply: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()
            self._pending[number] = reply
            return number, reply

    async def _writable(self, control: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        writable: asyncio.Future[None] = loop.create_future()
        loop.add_writer(control.fileno(), _settle, writable)
        try:
            await writable
        finally:
            if control.fileno() >= 0:
                loop.remove_writer(control.fileno())

    def _abandon(self, number: int, reply: asyncio.Future[tuple[int, int]]) -> None:
        """Nobody waits for this child any more: its conversation closes, so that it ends by itself."""
        self._pending.pop(number, None)
        if reply.done() and not reply.cancelled() and reply.exception() is None:
            os.close(reply.result()[1])

    def _on_readable(self, control: socket.socket) -> None:
        try:
            message, descriptors, _, _ = socket.recv_fds(control, _REPLY_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            message, descriptors = b"", []
        if not message:
            self.detach()
            return
        try:
            answer = decode(ForkReply, message)
        except BrokenConversation:
            self.detach()
            return
        reply = self._pending.pop(answer.number, None)
        if reply is None or reply.done() or not descriptors:
            for descriptor in descriptors:
                os.close(descriptor)
            if reply is not None and not reply.done():
                reply.set_exception(worker_lost(f"fork: {answer.problem}"))
            return
        reply.set_result((answer.process, descriptors[0]))


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
