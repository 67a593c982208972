"""A real server for tests: supervisor, front, zygote and workers, on a free loopback port.

```python
with running_server(tmp_path) as server:          # writes the world of `support.small_lake` first
    server.address                                 # 127.0.0.1:PORT, SERVING
    server.log_lines()                             # what it logged, parsed
```
A server that does not get to SERVING raises `ServerEnded` with its exit code and all that it wrote.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from support.small_lake import write_world

START_SECONDS = 40.0
STOP_SECONDS = 40.0


COMMAND = (str(Path(sys.executable).with_name("penstock-server")), "serve", "--config")


class ServerEnded(AssertionError):
    """The server ended where it should have served."""

    def __init__(self, code: int | None, written: str) -> None:
        super().__init__(f"the server ended with {code}:\n{written}")
        self.code = code
        self.written = written


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], object], *, seconds: float, what: str) -> None:
    """Wait until a condition holds; fail with `what` where it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process of the server's tree, as /proc shows it."""

    pid: int
    parent: int
    state: str
    command: tuple[str, ...]

    @property
    def alive(self) -> bool:
        """Whether it still runs: a zombie does not."""
        return self.state not in "ZX"


def process(pid: int) -> Process | None:
    """A process by number, or None where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, parent = stat.rpartition(")")[2].split()[:2]
    return Process(pid=pid, parent=int(parent), state=state, command=tuple(part.decode() for part in command if part))


def descendants(root: int) -> list[Process]:
    """All live processes below one, nearest first."""
    known = [found for name in os.listdir("/proc") if name.isdigit() and (found := process(int(name)))]
    result: list[Process] = []
    level = {root}
    while level:
        below = [one for one in known if one.parent in level and one.alive]
        result.extend(below)
        level = {one.pid for one in below}
    return result


@dataclass(slots=True, kw_only=True)
class ServerProcess:
    """A server that was started."""

    folder: Path
    port: int
    popen: subprocess.Popen[bytes]
    log: Path
    seen: set[int] = field(default_factory=set)

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    def tree(self) -> list[Process]:
        """Every live process below the supervisor."""
        found = descendants(self.popen.pid)
        self.seen |= {one.pid for one in found}
        return found

    def front(self) -> Process:
        """The process that listens."""
        return self._child("penstock_server.service.front")

    def zygote(self) -> Process:
        """The process that workers are forked from."""
        return self._child("penstock_server.engines.duckdb.zygote")

    def workers(self) -> list[Process]:
        """Everything that the zygote forked."""
        zygote = self.zygote().pid
        return [one for one in self.tree() if one.parent == zygote]

    def written(self) -> str:
        """All that it wrote to standard error and output."""
        return self.log.read_text(errors="replace")

    def log_lines(self) -> list[dict[str, Any]]:
        """Its log, one object a line; lines of other kinds are left out."""
        lines = []
        for line in self.written().splitlines():
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict):
                lines.append(found)
        return lines

    def is_serving(self) -> bool:
        """Whether its health says SERVING now."""
        with grpc.insecure_channel(self.address, options=[("grpc.enable_retries", 0)]) as channel:
            check = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            try:
                answer = check(health_pb2.HealthCheckRequest(), timeout=2)
            except grpc.RpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def wait_for_serving(self) -> None:
        """Wait until it serves."""

        def serving() -> bool:
            if self.popen.poll() is not None:
                raise ServerEnded(self.popen.returncode, self.written())
            return self.is_serving()

        wait_until(serving, seconds=START_SECONDS, what="SERVING")
        self.tree()

    def terminate(self) -> None:
        """Ask it to drain and end."""
        self.popen.send_signal(signal.SIGTERM)

    def wait(self, *, seconds: float = STOP_SECONDS) -> int:
        """Wait for its end and give the exit code."""
        return self.popen.wait(seconds)

    def stop(self) -> None:
        """End it for good, by force where it does not end by itself."""
        self.tree()
        if self.popen.poll() is None:
            self.terminate()
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        for pid in self.seen:
            found = process(pid)
            if found is not None and found.alive and any("penstock_server" in part for part in found.command):
                os.kill(pid, signal.SIGKILL)

    def _child(self, module: str) -> Process:
        for one in self.tree():
            if module in one.command and "-m" in one.command:
                return one
        raise AssertionError(f"there is no process of {module}")


def start_server(
    configuration: Path, *, port: int, environment: Mapping[str, str] | None = None, flags: Sequence[str] = ()
) -> ServerProcess:
    """Start a server with a configuration that is already written; whoever calls stops it."""
    log = configuration.parent / "server.log"
    with log.open("ab") as output:
        popen = subprocess.Popen(
            [*COMMAND, str(configuration), *flags],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    return ServerProcess(folder=configuration.parent, port=port, popen=popen, log=log)


@contextmanager
def running_server(
    folder: Path, *, configuration: Path | None = None, port: int | None = None, **world: str
) -> Iterator[ServerProcess]:
    """A server that serves; `world` goes to `write_world`, unless a configuration (for that port) is given."""
    port = port or free_port()
    path = configuration or write_world(folder, port=port, **world)
    server = start_server(path, port=port)
    try:
        server.wait_for_serving()
        yield server
    finally:
        server.stop()
