"""The process that children are forked from: it has imported DuckDB and Arrow, and opened nothing.

Started by exec (`launch.start_zygote`) with a scrubbed environment and in a session of its own, so that it holds no
secret, no module and no descriptor of the service. It lives by its control socket: when the other end closes, it
ends, and the kernel ends its children with it.

INVARIANT: it has exactly one thread before every fork, those of C libraries counted; else it ends itself.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable

import duckdb  # noqa: F401 - imported here so that no child pays for it, nor needs a path to find it
import numpy as np  # noqa: F401 - as above
import pyarrow as pa  # noqa: F401 - as above
import pyarrow.compute  # noqa: F401 - as above; decoding a dictionary (an ENUM) would load it

from penstock_server.engines.duckdb import builder, functions, inspector, probe, reader, rules_lister, worker
from penstock_server.engines.duckdb.iceberg import planner
from penstock_server.engines.duckdb.sandbox import kernel, privileges
from penstock_server.engines.duckdb.wire.encoding import decode, encode
from penstock_server.engines.duckdb.wire.frames import BrokenConversation, FrameStream
from penstock_server.engines.duckdb.wire.messages import ChildKind, ForkReply, ForkRequest

FOREIGN_MODULES = frozenset({"asyncio", "boto3", "botocore", "google", "grpc", "jose", "ssl", "uvloop"})
"""What must never be loaded here: its threads would not survive a fork, and its secrets would."""

Role = Callable[[FrameStream], None]

ROLES: dict[ChildKind, Role] = {
    ChildKind.SEALED_WORKER: worker.serve,
    ChildKind.SOURCE_READER: reader.serve,
    ChildKind.EXTRACT_BUILDER: builder.serve,
    ChildKind.INSPECTOR: inspector.serve,
    ChildKind.RULES_LISTER: rules_lister.serve,
    ChildKind.PROBE: probe.serve,
    ChildKind.ICEBERG_PLANNER: planner.serve,
}

_CONTROL_MESSAGE_BYTES = 4096


class Zygote:
    """Answers fork requests on the control socket until it closes."""

    def __init__(self, control: socket.socket, roles: dict[ChildKind, Role]) -> None:
        self._control = control
        self._roles = roles
        self._process = os.getpid()
        self._wakeup_read, self._wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> None:
        """Serve until the control socket closes."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wakeup_write)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wakeup_read, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._wakeup_read in ready:
                self._reap()
            if self._control.fileno() in ready and not self._answer():
                return

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wakeup_read, 4096)
        try:
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:
            return

    def _answer(self) -> bool:
        try:
            message, descriptors, flags, _ = socket.recv_fds(self._control, _CONTROL_MESSAGE_BYTES, 1)
        except ConnectionResetError:  # the front went away with answers unread
            return False
        if not message:
            return False
        if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC) or len(descriptors) != 1:
            raise BrokenConversation("a fork request must carry one descriptor")
        request = decode(ForkRequest, message)
        require_one_thread()
        try:
            process = os.fork()
        except OSError as error:
            os.close(descriptors[0])
            problem = errno.errorcode.get(error.errno or 0, "unknown")
            return self._reply(ForkReply(number=request.number, process=0, problem=problem))
        if process == 0:
            self._become_child(request.kind, descriptors[0])
        os.close(descriptors[0])
        # Before anything is reaped, so the number cannot have been given to another process.
        handle = os.pidfd_open(process)
        try:
            return self._reply(ForkReply(number=request.number, process=process, problem=""), handle)
        finally:
            os.close(handle)

    def _reply(self, reply: ForkReply, *descriptors: int) -> bool:
        try:
            socket.send_fds(self._control, [encode(reply)], descriptors)
        except (BrokenPipeError, ConnectionResetError):  # the front went away
            return False
        return True

    def _become_child(self, kind: ChildKind, descriptor: int) -> None:
        status = 1
        try:
            privileges.die_with_parent(self._process, signal.SIGKILL)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._control.close()
            os.close(self._wakeup_read)
            os.close(self._wakeup_write)
            _silence()
            self._roles[kind](FrameStream(socket.socket(fileno=descriptor)))
            status = 0
        finally:
            # Without the interpreter's farewell: it would flush, free and print what the zygote shares.
            os._exit(status)


def _silence() -> None:
    """Point standard input, output and error to nowhere: C++ prints its last words there, cells among them."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def require_one_thread() -> None:
    """End the process unless it has exactly one thread: a fork with more may hang or share a lock for ever."""
    if kernel.tasks() != 1:
        print("penstock zygote: more than one thread before a fork, ending", file=sys.stderr)  # noqa: T201 - its log
        os._exit(3)


def require_only_own_modules() -> None:
    """End the process if a module of the service's other side has been loaded."""
    foreign = sorted(FOREIGN_MODULES & sys.modules.keys())
    if foreign:
        print(f"penstock zygote: foreign modules: {', '.join(foreign)}", file=sys.stderr)  # noqa: T201 - its log
        os._exit(4)


def main(arguments: list[str], roles: dict[ChildKind, Role]) -> None:
    """Serve the control socket whose descriptor stands in the arguments."""
    require_only_own_modules()
    require_one_thread()
    # Read from the package now: children have no path to it.
    functions.families()
    gc.collect()
    gc.freeze()
    status = 1
    try:
        Zygote(socket.socket(fileno=int(arguments[0])), roles).run()
        status = 0
    except Exception:  # noqa: BLE001 - its last words; it ends either way
        traceback.print_exc()
    finally:
        # Without the interpreter's farewell: after `gc.freeze` it would print pages about leaks.
        os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1:], ROLES)
