"""The probe: stands where a sealed worker stands and tries to get out, before anything is served.

It tries from Python and from the SQL of a sealed instance. Every attempt must fail; one that does not is a breach, and
the service does not start.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import duckdb

from penstock_server.engines.duckdb import instance, worker
from penstock_server.engines.duckdb.conversation import Conversation
from penstock_server.engines.duckdb.sandbox import kernel
from penstock_server.engines.duckdb.wire.frames import BrokenConversation, FrameKind, FrameStream
from penstock_server.engines.duckdb.wire.messages import ProbeReply, ProbeRequest

_FOREIGN_MEMORY: Final = {"x86_64": (310, 101), "aarch64": (270, 117)}
"""The numbers of process_vm_readv and ptrace."""

_SEIZE: Final = 0x4206

Attempt = tuple[str, Callable[[], object]]


def serve(stream: FrameStream) -> None:
    """Serve one probing on this conversation, then return: the process ends."""
    conversation = Conversation(stream)
    try:
        opening = worker.confined(conversation)
        connection = instance.open_sealed(memory_bytes=opening.memory_bytes, threads=opening.threads)
        conversation.opened()
        request = conversation.expect(FrameKind.PROBE, ProbeRequest).message
        attempts = [*_system_attempts(request), *_sql_attempts(connection, request)]
        breaches = tuple(name for name, attempt in attempts if _succeeds(attempt))
        conversation.answer(FrameKind.PROBED, ProbeReply(attempts=len(attempts), breaches=breaches))
    except BrokenConversation:
        return


def _succeeds(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except (OSError, duckdb.Error):
        return False
    return True


def _system_attempts(request: ProbeRequest) -> Iterator[Attempt]:
    for path in request.paths:
        yield "open a source", partial(os.open, path, os.O_RDONLY)
    yield "open a file of the system", lambda: os.open("/etc/passwd", os.O_RDONLY)
    yield "list the root folder", lambda: os.listdir("/")
    yield "write a file", lambda: os.open("/tmp/penstock-probe", os.O_WRONLY | os.O_CREAT, 0o600)  # noqa: S108 - must fail
    yield "make a network socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    yield "make a local socket", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    yield "signal the front", lambda: os.kill(request.front, 0)
    yield "signal the zygote", lambda: os.kill(os.getppid(), 0)
    yield "hold the front's process", lambda: os.pidfd_open(request.front)
    yield "read the front's memory", lambda: os.open(f"/proc/{request.front}/mem", os.O_RDONLY)
    yield "read the front's environment", lambda: os.open(f"/proc/{request.front}/environ", os.O_RDONLY)
    for name, attempt in _neighbour_attempts(request.neighbour):
        yield f"{name} of another sealed process", attempt
    yield "fork", _fork
    yield "execute a program", _execute


def _neighbour_attempts(neighbour: int) -> Iterator[Attempt]:
    yield "read the memory", lambda: os.open(f"/proc/{neighbour}/mem", os.O_RDONLY)
    yield "map the memory", lambda: os.open(f"/proc/{neighbour}/maps", os.O_RDONLY)
    yield "list the files", lambda: os.listdir(f"/proc/{neighbour}/fd")
    yield "enter the folder", lambda: os.listdir(f"/proc/{neighbour}/cwd/")
    yield "hold the process", lambda: os.pidfd_open(neighbour)
    yield "get a signal to the process", lambda: os.kill(neighbour, 0)
    reading, tracing = _FOREIGN_MEMORY.get(kernel.machine(), (0, 0))
    if reading:
        yield "copy the memory", lambda: kernel.syscall(reading, neighbour, None, 0, None, 0, 0)
        yield "trace the steps", lambda: kernel.syscall(tracing, _SEIZE, neighbour, None, None)


def _fork() -> None:
    if os.fork() == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def _execute() -> None:
    try:
        os.execv("/no/such/program", ["program"])  # noqa: S606 - must be refused before anybody looks for it
    except FileNotFoundError:
        return


def _sql_attempts(connection: duckdb.DuckDBPyConnection, request: ProbeRequest) -> Iterator[Attempt]:
    for path in (*request.paths, "/etc/passwd"):
        yield "read a file by SQL", partial(connection.execute, "SELECT * FROM read_text(?)", [str(path)])
    for name, statement in (
        ("find files by SQL", "SELECT * FROM glob('/*') LIMIT 1"),
        ("attach a database", "ATTACH '/tmp/penstock-probe.duckdb' AS probe"),
        ("write by SQL", "COPY (SELECT 1) TO '/tmp/penstock-probe.csv'"),
        ("load an extension", "INSTALL httpfs"),
        ("unlock the settings", "SET enable_external_access=true"),
        ("take a larger memory", "SET memory_limit='1TiB'"),
    ):
        yield name, partial(connection.execute, statement)
