"""The one-way pipe on which a table's canonical stream crosses: SCHEMA, CHUNK..., END with the number of rows.

INVARIANT: a stream without its END frame is no stream: a reader that was killed half way must never look like a
shorter table.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from penstock_server.engines.duckdb.wire.encoding import encode
from penstock_server.engines.duckdb.wire.frames import HEADER, BrokenConversation, FrameKind, close_header, open_header
from penstock_server.engines.duckdb.wire.messages import RowCount

_PIPE_BYTES = 1 << 20
"""What a pipe holds, where the system allows it: about one batch, instead of the 64 KiB that it has by itself."""


def open_pipe() -> tuple[int, int]:
    """Open a pipe for a canonical stream; give the end to read and the end to write."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    # Past what one user may have in pipes it stays as it is.
    with contextlib.suppress(OSError):
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return read_end, write_end


class PipeWriter:
    """The end of the source reader. Owns the descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.rows = 0

    def schema(self, payload: bytes) -> None:
        """Send the schema. Raises BrokenConversation where nobody reads, as all methods do."""
        self._send(FrameKind.SCHEMA, payload, 0)

    def chunk(self, payload: bytes, rows: int) -> None:
        """Send one batch of the canonical stream."""
        self._send(FrameKind.CHUNK, payload, rows)
        self.rows += rows

    def end(self) -> None:
        """Say that the stream is whole, and close."""
        self._send(FrameKind.END, encode(RowCount(rows=self.rows)), 0)
        os.close(self._descriptor)

    def _send(self, kind: FrameKind, payload: bytes, rows: int) -> None:
        parts = [memoryview(close_header(kind, len(payload), rows)), memoryview(payload)]
        try:
            while parts:
                sent = os.writev(self._descriptor, parts)
                while parts and sent >= len(parts[0]):
                    sent -= len(parts.pop(0))
                if parts:
                    parts[0] = parts[0][sent:]
        except BrokenPipeError as error:
            raise BrokenConversation("nobody reads the pipe") from error


class PipeReader:
    """The end of the sealed worker. Owns the descriptor.

    `rows` counts what was read. `broken` is set before BrokenConversation is raised: an engine that pulls the batches
    hides the class of what they raise behind one of its own. So is `full`, where batches are of more than `most_bytes`.
    """

    def __init__(self, descriptor: int, *, most_bytes: int | None = None) -> None:
        self._descriptor = descriptor
        self._left = most_bytes
        self.rows = 0
        self.broken = False
        self.full = False

    def schema(self) -> bytes:
        """Read the schema.

        Raises:
            BrokenConversation: the stream ends, or begins with something else.
        """
        kind, payload, _ = self._receive()
        if kind is not FrameKind.SCHEMA:
            raise self._break("a stream that does not begin with its schema")
        return payload

    def chunks(self) -> Iterator[bytes]:
        """Read the batches up to the end, which must be there and must count the rows that came; then close.

        Raises:
            BrokenConversation: the stream is cut, out of order, or its count differs.
        """
        while True:
            kind, payload, rows = self._receive()
            match kind:
                case FrameKind.CHUNK:
                    self.rows += rows
                    self._count(len(payload))
                    yield payload
                case FrameKind.END if payload == encode(RowCount(rows=self.rows)):
                    os.close(self._descriptor)
                    return
                case FrameKind.END:
                    raise self._break("a stream with another number of rows than it says")
                case _:
                    raise self._break("an unexpected frame in a stream")

    def _count(self, size: int) -> None:
        if self._left is not None:
            self._left -= size
            if self._left < 0:
                self.full = True
                os.close(self._descriptor)
                raise BrokenConversation("a stream that is longer than was asked for")

    def _receive(self) -> tuple[FrameKind, bytes, int]:
        data = self._exactly(HEADER.size)
        try:
            header = open_header(data)
        except BrokenConversation as error:
            raise self._break(str(error)) from error
        return header.kind, self._exactly(header.length), header.rows

    def _exactly(self, count: int) -> bytes:
        buffer = bytearray(count)
        view, taken = memoryview(buffer), 0
        while taken < count:
            got = os.readv(self._descriptor, [view[taken:]])
            if not got:
                raise self._break("a stream that ends before its end frame")
            taken += got
        return bytes(buffer)

    def _break(self, how: str) -> BrokenConversation:
        self.broken = True
        return BrokenConversation(how)
