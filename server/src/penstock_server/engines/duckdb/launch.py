"""Starting a zygote: by exec, in a session of its own, with an environment of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    # The libraries' own threads, which would not survive a fork.
    "OPENBLAS_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
"""All that a zygote and its children see. SECURITY: no variable of the service crosses, secrets least of all."""

_END_SECONDS = 5.0

ZYGOTE = ("-I", "-m", "penstock_server.engines.duckdb.zygote")
"""The interpreter's arguments for the only zygote of the product: isolated from the environment and the user's site."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZygoteProcess:
    """A zygote that was started. Whoever holds `control` keeps it alive; the starter reaps `process`."""

    process: subprocess.Popen[bytes]
    control: socket.socket


def start_zygote(entry: Sequence[str]) -> ZygoteProcess:
    """Start a zygote (`ZYGOTE`, or what a test makes of it).

    Raises:
        OSError: the process could not be started.
    """
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, *entry, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            env=ENVIRONMENT,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
            cwd="/",
        )
    return ZygoteProcess(process=process, control=mine)


@contextmanager
def private_zygote(entry: Sequence[str]) -> Iterator[socket.socket]:
    """Give the control socket of a zygote that lives as long as this block: for commands and tests.

    Whoever attaches the socket owns it and closes it before the block ends.
    """
    started = start_zygote(entry)
    try:
        yield started.control
    finally:
        started.control.close()
        try:
            started.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            started.process.kill()
            started.process.wait()
