"""A child process as the front holds it: a conversation, and a pidfd by which it is killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
from typing import TypeVar

from penstock_server.engines.duckdb.wire.channel import Channel
from penstock_server.engines.duckdb.wire.encoding import decode
from penstock_server.engines.duckdb.wire.frames import BrokenConversation, FrameKind

T = TypeVar("T")


class Child:
    """One single-use child. Owns its socket and its pidfd; `discard` may be called at any time, and again.

    `generation` counts the zygotes of the service: a child of an earlier one is ending, even if it still looks alive.

    INVARIANT: it is killed by pidfd, never by number: the zygote reaps, so a number may already be another's.
    """

    def __init__(self, *, process: int, handle: int, connection: socket.socket, generation: int) -> None:
        self.process = process
        self.generation = generation
        self.channel = Channel(connection)
        self._handle = handle
        self._ended = asyncio.Event()
        self._poll = select.poll()
        self._poll.register(handle, select.POLLIN)
        asyncio.get_running_loop().add_reader(handle, self._on_end)

    @property
    def alive(self) -> bool:
        """Tell whether the process still runs, as the kernel sees it now."""
        return not self._ended.is_set() and not self._poll.poll(0)

    async def expect(self, kind: FrameKind, message: type[T]) -> T:
        """Receive the next frame, which must be of this kind, as a message.

        Raises:
            BrokenConversation: the child is gone, or answers something else.
        """
        header, payload = await self.channel.receive()
        if header.kind is not kind:
            raise BrokenConversation(f"{header.kind.name} where {kind.name} is due")
        return decode(message, payload)

    @property
    def over(self) -> bool:
        """Tell whether its end has been noticed and its pidfd closed."""
        return self._ended.is_set()

    def kill(self) -> None:
        """Kill the process, whatever it does; its memory is gone when `ended` returns."""
        if not self._ended.is_set():
            # It may have ended by itself, and the event loop has not looked yet.
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def discard(self) -> None:
        """Kill the process and close the conversation. Nothing may be waiting for a frame."""
        self.kill()
        self.channel.close()

    async def ended(self) -> None:
        """Wait until the process has ended."""
        await self._ended.wait()

    def _on_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._handle)
        os.close(self._handle)
        self._ended.set()
