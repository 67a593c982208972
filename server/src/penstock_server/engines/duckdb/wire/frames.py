"""Frames: one byte of kind, four bytes of length, four bytes of rows (little endian), then that many bytes.

The number of rows is that of a batch, so that the front can count what it relays undecoded; else it is zero.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from enum import IntEnum

HEADER = struct.Struct("<BII")

MIB = 1 << 20


class FrameKind(IntEnum):
    """What a frame holds. Control frames hold JSON of one message class, the others bytes."""

    OPEN = 1
    OPENED = 2
    PARSE = 3
    PARSED = 4
    BIND = 5
    BOUND = 6
    SUPPLY = 7
    SUPPLIED = 8
    RUN = 9
    FINISHED = 10
    READ = 11
    READ_DONE = 12
    INSPECT = 13
    INSPECTED = 14
    PROBE = 15
    PROBED = 16
    ATTACH = 17
    ATTACHED = 18
    BUILD = 24
    FILL = 25
    BUILT = 26
    LIST = 27
    LISTED = 28
    LINES = 29
    OBJECTS = 34
    PLAN = 35
    PLANNED = 36
    CONJUNCTS = 40
    CONJOINED = 41
    DECLINED = 42
    ERROR = 20
    SCHEMA = 30
    BATCH = 31
    CHUNK = 32
    END = 33


CAPS: dict[FrameKind, int] = {
    FrameKind.OPEN: MIB,
    FrameKind.OPENED: 1024,
    FrameKind.PARSE: 2 * MIB,
    FrameKind.PARSED: 2 * MIB,
    FrameKind.BIND: 16 * MIB,
    FrameKind.BOUND: 16 * MIB,
    FrameKind.SUPPLY: 4 * MIB,
    FrameKind.SUPPLIED: 1024,
    FrameKind.RUN: 1024,
    FrameKind.FINISHED: 1024,
    FrameKind.READ: 64 * MIB,
    FrameKind.READ_DONE: 1024,
    FrameKind.INSPECT: 64 * MIB,
    FrameKind.INSPECTED: 64 * MIB,
    FrameKind.PROBE: MIB,
    FrameKind.PROBED: 64 * 1024,
    FrameKind.ATTACH: 4 * MIB,
    FrameKind.ATTACHED: 1024,
    FrameKind.BUILD: 16 * MIB,
    FrameKind.FILL: 1024,
    FrameKind.BUILT: 1024,
    FrameKind.LIST: 16 * MIB,
    FrameKind.LISTED: 4 * MIB,
    FrameKind.LINES: 16 * MIB,
    FrameKind.OBJECTS: 64 * MIB,
    FrameKind.PLAN: 16 * 1024,
    FrameKind.PLANNED: 64 * MIB,
    FrameKind.CONJUNCTS: 1024,
    FrameKind.CONJOINED: MIB,
    FrameKind.DECLINED: 1024,
    FrameKind.ERROR: MIB,
    FrameKind.SCHEMA: 16 * MIB,
    FrameKind.BATCH: 2 * MIB + 64 * 1024,
    FrameKind.CHUNK: 1024 * MIB,
    FrameKind.END: 1024,
}
"""The most bytes a frame of each kind may announce.

SECURITY: a worker that ran hostile SQL is not trusted to be honest about a length; without a cap one announced length
would take 4 GiB of the front (test_a_frame_that_announces_too_much_is_refused_before_it_is_read).
"""


class BrokenConversation(Exception):
    """The other side is gone, or does not keep to the protocol; the text says how, and holds no data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The announced kind, length and rows of a frame, the length already checked against the cap."""

    kind: FrameKind
    length: int
    rows: int


def open_header(header: bytes) -> Header:
    """Read and check a header.

    Raises:
        BrokenConversation: the kind is unknown, or the length is over the cap of the kind.
    """
    number, length, rows = HEADER.unpack(header)
    try:
        kind = FrameKind(number)
    except ValueError as error:
        raise BrokenConversation("unknown kind of frame") from error
    if length > CAPS[kind]:
        raise BrokenConversation(f"a frame of kind {kind.name} is over its cap")
    return Header(kind=kind, length=length, rows=rows)


def close_header(kind: FrameKind, length: int, rows: int) -> bytes:
    """Make a header.

    Raises:
        BrokenConversation: the length is over the cap of the kind: the other side would refuse it.
    """
    if length > CAPS[kind]:
        raise BrokenConversation(f"a frame of kind {kind.name} is over its cap")
    return HEADER.pack(kind, length, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A whole frame as a child received it; `descriptor` is a file descriptor that came with it, or None."""

    kind: FrameKind
    payload: bytes
    descriptor: int | None


class FrameStream:
    """The blocking side of a conversation, used in children. Owns the socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def receive(self) -> Frame | None:
        """Give the next frame, or None where the other side closed between frames.

        Raises:
            BrokenConversation: closed within a frame, an unknown kind, too long, or more than one descriptor.
        """
        header, descriptors, flags, _ = socket.recv_fds(self._connection, HEADER.size, 1)
        if flags & socket.MSG_CTRUNC:
            raise BrokenConversation("more descriptors than one frame may carry")
        if not header and not descriptors:
            return None
        while len(header) < HEADER.size:
            header += self._exactly(HEADER.size - len(header))
        opened = open_header(header)
        payload = self._exactly(opened.length) if opened.length else b""
        return Frame(kind=opened.kind, payload=payload, descriptor=descriptors[0] if descriptors else None)

    def send(self, kind: FrameKind, payload: bytes | memoryview, *, rows: int = 0) -> None:
        """Send one frame; blocks while the other side does not read.

        Raises:
            BrokenConversation: the payload is over its cap, or the other side is gone.
        """
        parts = [memoryview(close_header(kind, len(payload), rows)), memoryview(payload)]
        try:
            while parts:
                sent = self._connection.sendmsg(parts)
                while parts and sent >= len(parts[0]):
                    sent -= len(parts.pop(0))
                if parts:
                    parts[0] = parts[0][sent:]
        except OSError as error:
            raise BrokenConversation("the other side is gone") from error

    def _exactly(self, count: int) -> bytes:
        data = self._connection.recv(count, socket.MSG_WAITALL)
        if len(data) < count:
            raise BrokenConversation("closed within a frame")
        return data
