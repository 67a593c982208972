"""A zygote whose children stand behind the product's own barriers and do what a test tells them to.

Run by the interpreter with -I; everything that an attempt needs is imported here, as a child can import nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

from penstock_server.engines.duckdb import builder, instance, reader, worker, zygote
from penstock_server.engines.duckdb.conversation import Conversation
from penstock_server.engines.duckdb.sandbox import confinement, kernel
from penstock_server.engines.duckdb.wire.frames import BrokenConversation, FrameKind, FrameStream
from penstock_server.engines.duckdb.wire.messages import ChildKind, ParseRequest


def open_descriptors() -> list[int]:
    found = []
    for number in range(64):
        with contextlib.suppress(OSError):
            os.fstat(number)
            found.append(number)
    return found


NAMES = {
    "ctypes": ctypes,
    "confinement": confinement,
    "errno": errno,
    "instance": instance,
    "kernel": kernel,
    "mmap": mmap,
    "open_descriptors": open_descriptors,
    "os": os,
    "Path": Path,
    "signal": signal,
    "socket": socket,
    "subprocess": subprocess,
    "sys": sys,
    "threading": threading,
}


def _probe(
    stream: FrameStream, *, open_files: int, kept: frozenset[int], may_read: bool, may_write_descriptors: bool = False
) -> None:
    conversation = Conversation(stream)
    conversation.open(
        open_files=open_files,
        kept_capabilities=kept,
        may_read=may_read,
        may_write_descriptors=may_write_descriptors,
    )
    conversation.opened()
    names = {**NAMES, "connection": stream._connection}
    try:
        while True:
            code = conversation.expect(FrameKind.PARSE, ParseRequest).message.sql
            conversation.give(FrameKind.SCHEMA, _attempt(code, names).encode(), rows=0)
    except BrokenConversation:
        return


def _attempt(code: str, names: dict[str, object]) -> str:
    try:
        return f"passed: {eval(code, names)!r}"
    except BaseException as error:  # noqa: BLE001 - whatever an attempt raises is its result
        number = getattr(error, "errno", None)
        return f"{type(error).__name__}: {errno.errorcode.get(number, '') if number else error}"


def sealed(stream: FrameStream) -> None:
    _probe(stream, open_files=worker.OPEN_FILES, kept=frozenset(), may_read=False)


def building(stream: FrameStream) -> None:
    _probe(stream, open_files=builder.OPEN_FILES, kept=frozenset(), may_read=False, may_write_descriptors=True)


def reading(stream: FrameStream) -> None:
    _probe(stream, open_files=reader.OPEN_FILES, kept=reader.KEPT_CAPABILITIES, may_read=True)


if __name__ == "__main__":
    zygote.main(
        sys.argv[1:],
        {
            **zygote.ROLES,
            ChildKind.SEALED_WORKER: sealed,
            ChildKind.SOURCE_READER: reading,
            ChildKind.EXTRACT_BUILDER: building,
        },
    )
