"""A child's side of its conversation with the front, in messages."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.machinery import BuiltinImporter, FrozenImporter
from typing import Generic, TypeVar, cast

from penstock_server.engines.duckdb import errors
from penstock_server.engines.duckdb.objects.paths import ObjectPath
from penstock_server.engines.duckdb.sandbox import confinement
from penstock_server.engines.duckdb.wire.encoding import decode, encode
from penstock_server.engines.duckdb.wire.frames import BrokenConversation, FrameKind, FrameStream
from penstock_server.engines.duckdb.wire.messages import ObjectsRequest, Opened, Opening
from penstock_server.errors import PenstockError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Generic[T]):
    """A message from the front and the descriptor that came with it, or None."""

    message: T
    descriptor: int | None

    def pipe(self) -> int:
        """Give the descriptor, which must be there.

        Raises:
            BrokenConversation: the message came without it.
        """
        if self.descriptor is None:
            raise BrokenConversation("a message without its pipe")
        return self.descriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenObjects:
    """Objects to read and the descriptor of the socket on which they are brought; none where the source is local."""

    objects: tuple[ObjectPath, ...] = ()
    courier: int | None = None


def _close_imports() -> None:
    """Leave only the modules inside the interpreter to be imported.

    A library that looks for an optional module then finds that there is none, as it expects, instead of a file that
    it may not open.
    """
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder in (BuiltinImporter, FrozenImporter)]


class Conversation:
    """Steps that the front asks for, one at a time. Owns the stream."""

    def __init__(self, stream: FrameStream) -> None:
        self._stream = stream

    def open(
        self,
        *,
        open_files: int,
        kept_capabilities: frozenset[int],
        may_read: bool,
        may_write_descriptors: bool = False,
    ) -> Opening:
        """Take the budgets from the front and put the barriers up. Comes before everything else.

        A child that may not read refuses an opening with paths, and one that may not write one with a file's size,
        whoever asks for it.

        Raises:
            BrokenConversation: the front is gone, or gives a sealed child a path.
            SandboxUnavailable: a barrier cannot stand.
        """
        opening = self.expect(FrameKind.OPEN, Opening).message
        if opening.readable and not may_read:
            raise BrokenConversation("a sealed child has no path to read")
        if opening.file_bytes and not may_write_descriptors:
            raise BrokenConversation("only a builder has a file to write")
        confinement.confine(
            readable=opening.readable,
            memory_bytes=opening.memory_bytes,
            open_files=open_files,
            kept_capabilities=kept_capabilities,
            may_query_paths=may_read,
            may_write_descriptors=may_write_descriptors,
            file_bytes=opening.file_bytes,
        )
        _close_imports()
        return opening

    def opened(self) -> None:
        """Say that the barriers stand and the instance is warm."""
        self.answer(FrameKind.OPENED, Opened())

    def expect(self, kind: FrameKind, message: type[T]) -> Asked[T]:
        """Wait for a frame of this kind.

        Raises:
            BrokenConversation: the front is gone, or asks for something else.
        """
        return self.expect_one_of({kind: message})

    def expect_one_of(self, kinds: Mapping[FrameKind, type[T]]) -> Asked[T]:
        """Wait for a frame of one of these kinds.

        Raises:
            BrokenConversation: the front is gone, or asks for something else.
        """
        frame = self._stream.receive()
        if frame is None:
            raise BrokenConversation("the front is gone")
        message = kinds.get(frame.kind)
        if message is None:
            raise BrokenConversation(f"{frame.kind.name} where {' or '.join(kind.name for kind in kinds)} is due")
        return Asked(message=decode(message, frame.payload), descriptor=frame.descriptor)

    def expect_source(self, kind: FrameKind, message: type[T]) -> tuple[Asked[T], GivenObjects]:
        """Wait for a frame of this kind, and before it for the objects that are read, where there are any.

        Raises:
            BrokenConversation: the front is gone, or asks for something else.
        """
        kinds: dict[FrameKind, type[object]] = {FrameKind.OBJECTS: ObjectsRequest, kind: message}
        first: Asked[object] = self.expect_one_of(kinds)
        if isinstance(first.message, ObjectsRequest):
            return self.expect(kind, message), GivenObjects(objects=first.message.objects, courier=first.pipe())
        return cast("Asked[T]", first), GivenObjects()

    def answer(self, kind: FrameKind, message: object) -> None:
        """Answer a step. Raises BrokenConversation where the front is gone, as all answers do."""
        self._stream.send(kind, encode(message))

    def give(self, kind: FrameKind, payload: bytes, *, rows: int) -> None:
        """Give Arrow IPC bytes."""
        self._stream.send(kind, payload, rows=rows)

    def fail(self, error: PenstockError) -> None:
        """Answer a step by an error."""
        self._stream.send(FrameKind.ERROR, errors.to_json(error))
