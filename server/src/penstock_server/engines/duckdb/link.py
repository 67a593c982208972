"""The thread between supervisor and front: zygotes come down it, and that the front is ready goes up.

The front finds its end as a descriptor whose number stands in the environment variable `PENSTOCK_SUPERVISOR_FD`. Each
message from the supervisor carries the control socket of a fresh zygote. When the supervisor is gone the socket closes
and the front drains.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from typing import Self

VARIABLE = "PENSTOCK_SUPERVISOR_FD"

_ZYGOTE = b"zygote"
_READY = b"ready"


class SupervisorEnd:
    """The supervisor's end. Owns the socket; a front that is gone is noticed by its process, not here."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def fileno(self) -> int:
        """Give the descriptor, to poll."""
        return self._connection.fileno()

    def hand_over(self, control: socket.socket) -> None:
        """Give the front the control socket of a new zygote; the one given stays open here."""
        try:
            socket.send_fds(self._connection, [_ZYGOTE], [control.fileno()])
        except OSError:
            return

    def receive_ready(self) -> bool:
        """Read one message; True where the front says that it serves."""
        try:
            return self._connection.recv(64) == _READY
        except OSError:
            return False

    def close(self) -> None:
        """Close the socket."""
        self._connection.close()


class FrontEnd:
    """The front's end. Owns the socket."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection

    @classmethod
    def from_environment(cls) -> Self | None:
        """Give the end that the supervisor passed down, or None where there is no supervisor. Call it once."""
        number = os.environ.pop(VARIABLE, "")
        if not number:
            return None
        os.set_inheritable(int(number), False)
        return cls(socket.socket(fileno=int(number)))

    def listen(self, attach: Callable[[socket.socket], None]) -> None:
        """Call `attach` with each zygote's control socket from now on, on the running event loop."""
        asyncio.get_running_loop().add_reader(self._connection.fileno(), self._on_message, attach)

    def ready(self) -> None:
        """Tell the supervisor that this front serves: from now on its end is a crash, not a refusal to start."""
        try:
            self._connection.send(_READY)
        except OSError:
            return

    def close(self) -> None:
        """Stop listening and close."""
        asyncio.get_running_loop().remove_reader(self._connection.fileno())
        self._connection.close()

    def _on_message(self, attach: Callable[[socket.socket], None]) -> None:
        try:
            message, descriptors, _, _ = socket.recv_fds(self._connection, 64, 1, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            message, descriptors = b"", []
        if message == _ZYGOTE and descriptors:
            attach(socket.socket(fileno=descriptors[0]))
            return
        for descriptor in descriptors:
            os.close(descriptor)
        if not message:
            asyncio.get_running_loop().remove_reader(self._connection.fileno())
            os.kill(os.getpid(), signal.SIGTERM)  # nobody is left to restart anything: drain
