"""Keeps the front and its zygote running, and ends them together.

It holds no gRPC, no DuckDB, no secret of its own and no thread: PID 1 of a container may do no more than this. It is
the subreaper of everything below it, so that no process lingers as a zombie.

| what happens | what it does |
|---|---|
| the zygote ends | starts another and hands the front its control socket |
| the front is killed, or ends after it had served | starts both again, after a pause that grows |
| the front ends before it had served | ends with the same code: a wrong configuration is not cured by repetition |
| SIGTERM, SIGINT | passes SIGTERM to the front, which drains; then the zygote ends by itself |
| SIGHUP | passes it to the front, which reloads the policy; to one that is still starting once it is ready |
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from penstock_server.engines.duckdb.launch import ZYGOTE, ZygoteProcess, start_zygote
from penstock_server.engines.duckdb.link import VARIABLE, SupervisorEnd
from penstock_server.engines.duckdb.sandbox import kernel

log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_STEADY_SECONDS = 60.0
_FRUITLESS_STARTS = 5
_ZYGOTE_END_SECONDS = 5.0


class Backoff:
    """How long to wait before the next start: doubled after each quick end, forgotten after a steady minute."""

    def __init__(self) -> None:
        self._began = 0.0
        self._next = 0.0

    def started(self, now: float) -> None:
        """Note a start, at this time in seconds."""
        self._began = now

    def pause(self, now: float) -> float:
        """Give the seconds to wait after an end at this time."""
        if now - self._began > _STEADY_SECONDS:
            self._next = 0.0
        pause = self._next
        self._next = min(max(2 * pause, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
        return pause


@dataclass(slots=True, kw_only=True)
class Front:
    """The front that runs now. `served` becomes true when it says that it is ready; then it is no longer heard."""

    process: subprocess.Popen[bytes]
    link: SupervisorEnd
    served: bool
    heard: bool


class Supervisor:
    """One front and one zygote, from start to end."""

    def __init__(self, front: Sequence[str], *, drain: timedelta) -> None:
        self._command = list(front)
        self._drain_seconds = drain.total_seconds()
        self._front: Front | None = None
        self._zygote: ZygoteProcess | None = None
        self._zygote_due: float | None = None
        self._front_due: float | None = None
        self._kill_due: float | None = None
        self._stopping = False
        self._reload_due = False
        self._fruitless = 0
        self._front_backoff, self._zygote_backoff = Backoff(), Backoff()
        self._wakeup_read, self._wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._result: int | None = None

    def run(self) -> int:
        """Serve until stopped, and give the exit code."""
        kernel.prctl(kernel.Control.SET_CHILD_SUBREAPER, 1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)
        self._front_due = 0.0
        while self._result is None:
            self._start_what_is_due()
            self._wait()
        self._end_zygote()
        return self._result

    def _start_what_is_due(self) -> None:
        now = time.monotonic()
        if self._front_due is not None and now >= self._front_due:
            self._front_due = None
            self._start_front()
        if self._zygote_due is not None and now >= self._zygote_due:
            self._zygote_due = None
            self._start_zygote()
        if self._kill_due is not None and now >= self._kill_due and self._front is not None:
            self._kill_due = None
            log.warning("the front did not drain in time")
            _signal(self._front.process, signal.SIGKILL)

    def _start_front(self) -> None:
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - the command that our own CLI gave
                self._command,
                env={**os.environ, VARIABLE: str(theirs.fileno())},
                pass_fds=(theirs.fileno(),),
                # Ctrl-C reaches the supervisor alone, which turns it into a drain.
                start_new_session=True,
            )
        self._front = Front(process=process, link=SupervisorEnd(mine), served=False, heard=True)
        self._front_backoff.started(time.monotonic())
        log.info("front started", extra={"child": process.pid})
        self._start_zygote()

    def _start_zygote(self) -> None:
        if self._front is None or self._zygote is not None:
            return
        started = start_zygote(ZYGOTE)
        self._zygote = started
        self._zygote_backoff.started(time.monotonic())
        log.info("zygote started", extra={"child": started.process.pid})
        self._front.link.hand_over(started.control)
        # The front alone holds it from here on: when the front ends, so does the zygote.
        started.control.close()

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._wakeup_read, select.POLLIN)
        if self._front is not None and self._front.heard:
            poll.register(self._front.link, select.POLLIN)
        due = [moment for moment in (self._front_due, self._zygote_due, self._kill_due) if moment is not None]
        timeout = max(0.0, min(due) - time.monotonic()) * 1000 + 1 if due else None
        ready = {descriptor for descriptor, _ in poll.poll(timeout)}
        if self._front is not None and self._front.link.fileno() in ready:
            self._front.heard = False
            self._front.served = self._front.link.receive_ready()
            self._pass_reload_on()
        if self._wakeup_read in ready:
            self._on_signals(os.read(self._wakeup_read, 4096))

    def _on_signals(self, numbers: bytes) -> None:
        if signal.SIGTERM in numbers or signal.SIGINT in numbers:
            self._stop()
        if signal.SIGHUP in numbers:
            self._reload_due = True
            self._pass_reload_on()
        self._reap()

    def _pass_reload_on(self) -> None:
        """Pass SIGHUP on: before the front says that it is ready, the signal might end it."""
        if self._reload_due and self._front is not None and self._front.served:
            self._reload_due = False
            _signal(self._front.process, signal.SIGHUP)

    def _stop(self) -> None:
        self._stopping = True
        self._front_due = self._zygote_due = None
        if self._front is None:
            self._result = 0
            return
        log.info("draining")
        _signal(self._front.process, signal.SIGTERM)
        if self._kill_due is None:
            self._kill_due = time.monotonic() + self._drain_seconds

    def _reap(self) -> None:
        while True:
            try:
                number, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if number == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            if self._front is not None and number == self._front.process.pid:
                self._front.process.returncode = code
                self._on_front_end(self._front, code)
            elif self._zygote is not None and number == self._zygote.process.pid:
                self._zygote.process.returncode = code
                self._on_zygote_end(code)

    def _on_zygote_end(self, code: int) -> None:
        self._zygote = None
        if self._stopping or self._front is None:
            return
        log.error("zygote ended", extra={"code": code})
        now = time.monotonic()
        self._zygote_due = now + self._zygote_backoff.pause(now)

    def _on_front_end(self, front: Front, code: int) -> None:
        front.link.close()
        self._front = None
        self._fruitless += not front.served
        refused = not front.served and code > 0
        if self._stopping or code == 0 or refused or self._fruitless >= _FRUITLESS_STARTS:
            # Killed by a signal: as a shell would say it.
            self._result = code if code >= 0 else 128 - code
            return
        log.error("front ended", extra={"code": code})
        self._end_zygote()
        now = time.monotonic()
        self._zygote_due = None
        self._front_due = now + self._front_backoff.pause(now)

    def _end_zygote(self) -> None:
        """Wait for the zygote, whose control socket closed with the front; kill it if it lingers."""
        if self._zygote is None:
            return
        process, self._zygote = self._zygote.process, None
        try:
            process.wait(_ZYGOTE_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal a child that has not been reaped: not by Popen, which would reap it unseen if it has just ended."""
    os.kill(process.pid, number)


def run(front: Sequence[str], *, drain: timedelta) -> int:
    """Keep the front (a command to execute) and its zygote running until a signal says stop; give the exit code.

    `drain` is how long the front may take to end after SIGTERM before it is killed. Call it in the main thread of a
    process that has no others.
    """
    return Supervisor(front, drain=drain).run()
