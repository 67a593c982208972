"""Where an answer is written: standard output, or a file that appears only once it is complete."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer


class Gate(io.BufferedIOBase):
    """A stream that takes nothing more once it is shut.

    SECURITY: writers close themselves when they are collected, and a Parquet writer then adds a footer that would
    make a valid file of half an answer. What it writes after a failure goes nowhere.
    """

    def __init__(self, stream: BinaryIO) -> None:
        """Take the stream behind the gate, which stays its owner's to close."""
        self._stream = stream
        self._shut = False

    def shut(self) -> None:
        """Let nothing more through."""
        self._shut = True

    def isatty(self) -> bool:
        """Tell whether people read what is written."""
        return self._stream.isatty()

    def writable(self) -> bool:
        """Tell that this can be written to."""
        return True

    def write(self, data: Buffer, /) -> int:
        """Write all of it, or nothing where the gate is shut."""
        view = memoryview(data)
        if not self._shut:
            self._stream.write(view)
        return view.nbytes

    def flush(self) -> None:
        """Pass on what the stream behind has buffered."""
        if not self._shut:
            self._stream.flush()


@contextmanager
def open_destination(path: Path | None) -> Iterator[BinaryIO]:
    """Give a stream to write to; None is standard output. `Gate` tells what happens where the block raises.

    A new or ordinary file is replaced at the end of the block, and left alone where the block raises: a part of an
    answer never passes for the whole. Only its owner may read it. Anything else (a pipe, a device) is written to
    directly.

    Raises:
        OSError: it cannot be written.
    """
    with _open(path) as stream:
        gate = Gate(stream)
        try:
            yield cast("BinaryIO", gate)
            gate.flush()
        finally:
            gate.shut()


@contextmanager
def _open(path: Path | None) -> Iterator[BinaryIO]:
    if path is None:
        yield sys.stdout.buffer
        return
    if path.exists() and not path.is_file():
        with path.open("wb") as direct:
            yield direct
        return
    target = path.resolve()
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
