"""The supervisor with a real zygote and a front that answers SQL on a socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from penstock_server.config.settings import CatalogSettings
from support import engine_processes as processes

FRONT = processes.SUPPORT / "front_stand.py"
ENDLESS = "SELECT sum(a.range * b.range + a.range % 7) AS s FROM range(1000000) a, range(1000000) b"


class Service:
    """A supervised front, asked over its socket."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path) -> None:
        self.process = process
        self.path = path

    def ask(self, sql: str, *, within: float = 15) -> str:
        """Ask on a new connection, waiting for a front to be there."""
        end = time.monotonic() + within
        while True:
            try:
                with self.connected(within) as stream:
                    stream.sendall(f"{sql}\n".encode())
                    answer = stream.makefile().readline()
                    if answer:
                        return answer.strip()
            except OSError:
                pass
            if time.monotonic() > end:
                raise AssertionError("no front answers")
            time.sleep(0.02)

    @contextmanager
    def connected(self, within: float) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(within)
            stream.connect(str(self.path))
            yield stream

    @property
    def front(self) -> int:
        return int(self.ask("pid"))

    @property
    def zygote(self) -> int:
        front = self.front
        found: list[int] = []

        def found_one() -> bool:
            # A worker that just lost its zygote hangs below the supervisor too, but leads no session; nor does the
            # next zygote in its first instant.
            children = processes.children(self.process.pid)
            found[:] = [child for child in children if processes.leads_session(child) and child != front]
            return len(found) == 1

        wait(found_one, within=10, what="one zygote leads its session")
        return found[0]

    def everything(self) -> list[int]:
        below = processes.children(self.process.pid)
        return [self.process.pid, *below, *(child for parent in below for child in processes.children(parent))]


def supervise(path: Path, folder: Path, *failure: str, drain: int = 10) -> subprocess.Popen[bytes]:
    front = [sys.executable, str(FRONT), str(path), str(folder), *failure]
    code = (
        "import sys; from datetime import timedelta; from penstock_server import supervisor; "
        f"sys.exit(supervisor.run({front!r}, drain=timedelta(seconds={drain})))"
    )
    return subprocess.Popen([sys.executable, "-c", code])


@pytest.fixture
def service(tmp_path: Path, catalog: CatalogSettings) -> Iterator[Service]:
    process = supervise(tmp_path / "front.sock", catalog.path)
    made = Service(process, tmp_path / "front.sock")
    made.ask("SELECT 1 AS one", within=30)
    yield made
    left = made.everything()
    process.kill()
    process.wait(10)
    wait(lambda: all(processes.state(child) == "gone" for child in left), within=15, what="all processes end")


def wait(true: Callable[[], bool], *, within: float, what: str) -> None:
    end = time.monotonic() + within
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(0.01)


def test_a_killed_zygote_is_replaced_under_the_same_front(service: Service) -> None:
    front, zygote = service.front, service.zygote
    workers = processes.children(zygote)
    os.kill(zygote, signal.SIGKILL)
    wait(lambda: all(processes.state(worker) == "gone" for worker in workers), within=2, what="its children end")
    wait(lambda: len(processes.children(service.process.pid)) == 2, within=10, what="another zygote")
    rows = f"[{{'n': {processes.ROWS}}}]"
    wait(
        lambda: service.ask("SELECT count(*) AS n FROM shop.orders") == rows, within=10, what="statements are answered"
    )
    assert service.front == front
    assert service.zygote != zygote


def test_a_killed_front_is_replaced_with_its_zygote(service: Service) -> None:
    before = service.everything()
    front, zygote = service.front, service.zygote
    os.kill(front, signal.SIGKILL)
    wait(lambda: processes.state(zygote) == "gone", within=5, what="its zygote ends")
    assert service.ask("SELECT 1 AS one") == "[{'one': 1}]"
    assert service.front != front
    alive = [child for child in before[1:] if processes.state(child) != "gone"]
    assert alive == []


def test_a_front_killed_at_work_leaves_no_worker(service: Service) -> None:
    front = service.front
    with service.connected(10) as stream:
        stream.sendall(f"{ENDLESS}\n".encode())
        wait(
            lambda: any(processes.cpu_seconds(child) > 0.3 for child in processes.children(service.zygote)),
            within=20,
            what="a worker works",
        )
        children = service.everything()[1:]
        os.kill(front, signal.SIGKILL)
        wait(lambda: all(processes.state(child) == "gone" for child in children), within=5, what="all of them end")


def test_no_zombie_is_left(service: Service) -> None:
    for _ in range(2):
        os.kill(service.zygote, signal.SIGKILL)
        wait(lambda: len(processes.children(service.process.pid)) == 2, within=10, what="another zygote")
        service.ask("SELECT 1 AS one")

    def zombies() -> list[str]:
        listed = processes.proc(service.process.pid, f"task/{service.process.pid}/children").split()
        return [child for child in listed if processes.state(int(child)) == "gone"]

    wait(lambda: not zombies(), within=5, what="every child is reaped")


def test_sigterm_drains_the_front_and_ends_everything(service: Service) -> None:
    everything = service.everything()
    service.process.terminate()
    assert service.process.wait(15) == 0
    assert service.path.with_suffix(".drained").exists()
    wait(lambda: all(processes.state(child) == "gone" for child in everything), within=2, what="nothing is left")


def test_a_front_that_does_not_drain_is_killed(tmp_path: Path, catalog: CatalogSettings) -> None:
    process = supervise(tmp_path / "front.sock", catalog.path, drain=1)
    made = Service(process, tmp_path / "front.sock")
    everything = [made.front, *made.everything()]
    os.kill(made.front, signal.SIGSTOP)
    process.terminate()
    assert process.wait(15) == 128 + signal.SIGKILL
    wait(lambda: all(processes.state(child) == "gone" for child in everything), within=2, what="nothing is left")


def test_a_killed_supervisor_takes_everything_with_it(service: Service) -> None:
    everything = service.everything()
    service.process.kill()
    service.process.wait(10)
    wait(lambda: all(processes.state(child) == "gone" for child in everything), within=15, what="nothing is left")


def test_a_front_that_refuses_to_start_is_not_started_again(tmp_path: Path, catalog: CatalogSettings) -> None:
    process = supervise(tmp_path / "front.sock", catalog.path, "refuse")
    assert process.wait(20) == 7


def test_a_front_that_always_crashes_is_given_up(tmp_path: Path, catalog: CatalogSettings) -> None:
    process = supervise(tmp_path / "front.sock", catalog.path, "crash")
    assert process.wait(60) == 128 + signal.SIGKILL
    assert (tmp_path / "front.sock.starts").read_text() == "xxxxx"


def test_the_supervisor_adopts_what_loses_its_parent(tmp_path: Path, catalog: CatalogSettings) -> None:
    process = supervise(tmp_path / "front.sock", catalog.path, "orphan")
    assert process.wait(20) == 7
    wait(lambda: (tmp_path / "front.sock.adopted").read_text() == str(process.pid), within=5, what="it is adopted")
