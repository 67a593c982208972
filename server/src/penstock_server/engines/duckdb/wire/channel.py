"""The front's side of a conversation: frames over a non-blocking socket, awaited on the event loop."""

from __future__ import annotations

import asyncio
import socket
from typing import TypeVar

from penstock_server.engines.duckdb.wire.encoding import encode
from penstock_server.engines.duckdb.wire.frames import (
    HEADER,
    BrokenConversation,
    FrameKind,
    Header,
    close_header,
    open_header,
)

T = TypeVar("T")


class Channel:
    """One conversation with one child. Owns the socket; a relay is never a thread."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection

    async def send(self, kind: FrameKind, message: object) -> None:
        """Send a control message.

        Raises:
            BrokenConversation: the child is gone, or the message is over its cap.
        """
        payload = encode(message)
        try:
            await asyncio.get_running_loop().sock_sendall(
                self._connection, close_header(kind, len(payload), 0) + payload
            )
        except OSError as error:
            raise BrokenConversation("the child is gone") from error

    async def send_bytes(self, kind: FrameKind, payload: bytes) -> None:
        """Send Arrow IPC bytes as they are.

        Raises:
            BrokenConversation: as `send`.
        """
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_sendall(self._connection, close_header(kind, len(payload), 0))
            await loop.sock_sendall(self._connection, payload)
        except OSError as error:
            raise BrokenConversation("the child is gone") from error

    async def send_with_descriptor(self, kind: FrameKind, message: object, descriptor: int) -> None:
        """Send a control message with a file descriptor, which stays open here too.

        Raises:
            BrokenConversation: as `send`.
        """
        payload = encode(message)
        data = close_header(kind, len(payload), 0) + payload
        try:
            # The conversation is in lock-step, so the buffer is empty and the first bytes always fit.
            sent = socket.send_fds(self._connection, [data], [descriptor])
            rest = data[sent:]
            # A child that has everything may have answered and ended; sending nothing more to it would fail.
            if rest:
                await asyncio.get_running_loop().sock_sendall(self._connection, rest)
        except OSError as error:
            raise BrokenConversation("the child is gone") from error

    async def receive(self) -> tuple[Header, bytes]:
        """Give the next frame, undecoded.

        Raises:
            BrokenConversation: the child is gone, or does not keep to the protocol.
        """
        header = open_header(bytes(await self._exactly(HEADER.size)))
        return header, bytes(await self._exactly(header.length))

    def close(self) -> None:
        """Close the socket. Nothing may be waiting in `receive`."""
        self._connection.close()

    async def _exactly(self, count: int) -> bytearray:
        loop = asyncio.get_running_loop()
        buffer = bytearray(count)
        view, taken = memoryview(buffer), 0
        while taken < count:
            try:
                # SECURITY: plain receiving takes no descriptors, so a child cannot push any into the front.
                got = await loop.sock_recv_into(self._connection, view[taken:])
            except OSError as error:
                raise BrokenConversation("the child is gone") from error
            if not got:
                raise BrokenConversation("the child is gone")
            taken += got
        return buffer
