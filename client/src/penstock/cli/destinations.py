"""Where an answer is written: standard output, or a file that appears only once it is complete."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def open_destination(path: Path | None) -> Iterator[BinaryIO]:
    """Give a stream to write to; None is standard output.

    A new or ordinary file is replaced at the end of the block, and left alone where the block raises: a part of an
    answer never passes for the whole. Only its owner may read it. Anything else (a pipe, a device) is written to
    directly.

    Raises:
        OSError: it cannot be written.
    """
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
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
