"""The processes of a server: start, crash, stop."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from penstock.v1 import identity_service_pb2
from support.calls import Client, Refusal, client, read_refusal
from support.server import ServerEnded, ServerProcess, free_port, process, running_server, start_server, wait_until
from support.small_lake import token_for, write_world
from support.trail import records

SLOW = "select count(*) from range(100000000000) a, range(1000000) b where (a.range * b.range) % 7 = 3"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose parts are killed; each test leaves it serving."""
    folder: Path = tmp_path_factory.mktemp("killed")
    with running_server(folder) as running:
        yield running
        assert running.popen.poll() is None


def answers(server: ServerProcess) -> bool:
    with client(server.address, token_for("alice")) as caller:
        try:
            return caller.rows("select count(*) n from nyc.airlines", seconds=10) == [{"n": 4}]
        except grpc.RpcError:
            return False


def killed_while_running(server: ServerProcess, kill: Callable[[], None]) -> grpc.RpcError:
    """Run a long statement, kill something, and give what the client of that statement is told."""
    told: list[grpc.RpcError] = []

    def run() -> None:
        with client(server.address, token_for("bob")) as caller:
            try:
                list(caller.stream(SLOW, timeout=Duration(seconds=15), seconds=20))
            except grpc.RpcError as error:
                told.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: any_busy(server), seconds=10, what="a worker at work")
    kill()
    thread.join(25)
    return told[0]


def any_busy(server: ServerProcess) -> list[int]:
    def ticks(pid: int) -> int:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return 0
        return int(fields[11]) + int(fields[12])

    before = {one.pid: ticks(one.pid) for one in server.workers()}
    time.sleep(0.3)
    return [pid for pid, used in before.items() if ticks(pid) - used >= 10]


def gone(pids: list[int]) -> bool:
    return all((found := process(pid)) is None or not found.alive for pid in pids)


def test_a_killed_worker_is_one_lost_statement(shared: ServerProcess) -> None:
    error = killed_while_running(shared, lambda: os.kill(any_busy(shared)[0], signal.SIGKILL))
    told = read_refusal(error)
    assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "WORKER_LOST")
    assert told.retry_seconds is not None
    assert answers(shared)


def test_a_killed_zygote_takes_its_workers_along_and_is_replaced(shared: ServerProcess) -> None:
    zygote = shared.zygote().pid
    workers = [one.pid for one in shared.workers()]
    error = killed_while_running(shared, lambda: os.kill(zygote, signal.SIGKILL))
    assert read_refusal(error).reason == "WORKER_LOST"
    wait_until(lambda: gone([zygote, *workers]), seconds=5, what="the end of all workers")
    wait_until(lambda: answers(shared), seconds=20, what="an answer by workers of a new zygote")
    assert shared.zygote().pid != zygote
    assert process(shared.front().pid) is not None


def test_a_killed_front_takes_everything_along_and_is_replaced(shared: ServerProcess) -> None:
    front, zygote = shared.front().pid, shared.zygote().pid
    workers = [one.pid for one in shared.workers()]
    error = killed_while_running(shared, lambda: os.kill(front, signal.SIGKILL))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    wait_until(lambda: gone([front, zygote, *workers]), seconds=5, what="the end of zygote and workers")
    shared.wait_for_serving()
    wait_until(lambda: answers(shared), seconds=20, what="an answer by a new front")
    assert shared.front().pid != front
    # The statement that was under way has no end in the trail, and the trail goes on whole.
    events = [record["event"] for record in records(shared.folder)]
    assert events.count("service.started") == 2


def test_a_port_in_use_is_a_clear_error_and_the_first_server_keeps_it(shared: ServerProcess, tmp_path: Path) -> None:
    second = start_server(write_world(tmp_path, port=shared.port), port=shared.port)
    try:
        assert second.wait(seconds=30) == 1
    finally:
        second.stop()
    assert f"server.listen: `{shared.address}` cannot be bound" in second.written()
    assert "Traceback" not in second.written()
    assert answers(shared)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "keys.json").write_text('{"keys": []}'), "https://login.test"),
        (lambda folder: (folder / "lake" / "nyc" / "flights.parquet").write_bytes(b"PAR1"), "flights"),
    ],
    ids=["an issuer without keys", "half a Parquet file"],
)
def test_a_server_that_cannot_serve_says_why_and_ends(
    tmp_path: Path, change: Callable[[Path], object], said: str
) -> None:
    port = free_port()
    configuration = write_world(tmp_path, port=port)
    change(tmp_path)
    server = start_server(configuration, port=port)
    try:
        assert server.wait(seconds=40) == 1
        assert said in server.written()
        assert "Traceback" not in server.written()
        wait_until(lambda: gone(list(server.seen)), seconds=5, what="the end of every process")
    finally:
        server.stop()


def test_reflection_is_off_unless_configured(shared: ServerProcess) -> None:
    with grpc.insecure_channel(shared.address) as channel:
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=10
        )
        with pytest.raises(grpc.RpcError) as raised:
            list(call)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_sigterm_finishes_what_is_under_way_and_takes_nothing_new(tmp_path: Path) -> None:
    with running_server(tmp_path, query="{timeout: 20s, stall_timeout: 10s, memory: 256MiB, concurrency: 1}") as server:
        everything = [one.pid for one in server.tree()]
        with client(server.address, token_for("bob")) as bob:
            call = bob.stream("select n, repeat(text, 20) t from nyc.numbers, range(3)")
            assert next(call).header.schema
            server.terminate()
            told = _refused_soon(bob)
            assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
            assert told.retry_seconds == 1.0
            assert not server.is_serving()
            parts = list(call)
            assert parts[-1].trailer.row_count == 600_000
        assert server.wait(seconds=10) == 0
        wait_until(lambda: gone(everything), seconds=5, what="the end of every process")
    assert records(tmp_path)[-1]["event"] == "service.stopped"


def _refused_soon(caller: Client) -> Refusal:
    """Call until the drain has begun: the signal goes through the supervisor first."""
    end = time.monotonic() + 10
    while True:
        try:
            caller.call(caller.identity.WhoAmI, identity_service_pb2.WhoAmIRequest())
        except grpc.RpcError as error:
            return read_refusal(error)
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_front_holds_no_engine_and_no_listener_but_its_port(shared: ServerProcess) -> None:
    front = shared.front().pid
    mapped = Path(f"/proc/{front}/maps").read_text()
    assert "duckdb" not in mapped
    assert "libarrow" not in mapped
    zygote = Path(f"/proc/{shared.zygote().pid}/maps").read_text()
    assert "cygrpc" not in zygote
    environment = Path(f"/proc/{shared.zygote().pid}/environ").read_bytes()
    assert b"HOME=" not in environment


def test_health_command_agrees(shared: ServerProcess) -> None:
    command = [str(Path(sys.executable).with_name("penstock-server")), "health"]
    configuration = str(shared.folder / "penstock.yaml")
    done = subprocess.run([*command, "--config", configuration], capture_output=True, timeout=30, check=False)
    assert done.returncode == 0
    nowhere = f"127.0.0.1:{free_port()}"
    done = subprocess.run([*command, "--address", nowhere], capture_output=True, timeout=30, check=False)
    assert done.returncode == 1


def test_a_server_that_does_not_start_is_noticed_by_the_fixture(tmp_path: Path) -> None:
    (tmp_path / "penstock.yaml").write_text("nonsense: 1\n")
    with (
        pytest.raises(ServerEnded) as ended,
        running_server(tmp_path, configuration=tmp_path / "penstock.yaml", port=free_port()),
    ):
        pass
    assert ended.value.code == 1
