"""A running server takes up changed policies by itself, by SIGHUP and under running statements."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from penstock.v1 import policy_service_pb2
from support.calls import Client, client, read_refusal
from support.server import ServerProcess, free_port, running_server, start_server, wait_until
from support.small_lake import NUMBERS, POLICY, token_for, write_world
from support.trail import records

SECONDS = 30.0
WITHOUT_NUMBERS = POLICY[: POLICY.index("  - name: numbers")]
RULES = """\
row_rules:
  - resource: lake.nyc.numbers
    name: texts
    rules: {file: rules/numbers.csv}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server(tmp_path_factory.mktemp("reload")) as running:
        yield running


@pytest.fixture(scope="module")
def first_version(server: ServerProcess) -> str:
    """The version of `POLICY`, with which the server begins."""
    with client(server.address, token_for("alice")) as caller:
        return version(caller)


@pytest.fixture
def alice(server: ServerProcess, first_version: str) -> Iterator[Client]:
    """A caller of a server whose policy is the one it began with."""
    write(server, POLICY)
    with client(server.address, token_for("alice")) as caller:
        wait_until(lambda: version(caller) == first_version, seconds=SECONDS, what="the first policy")
        yield caller


def write(server: ServerProcess, policy: str) -> None:
    (server.folder / "policies" / "nyc.yaml").write_text(policy)


def version(caller: Client) -> str:
    answer = caller.call(caller.policy.GetPolicyVersion, policy_service_pb2.GetPolicyVersionRequest())
    return str(answer.policy_version)


def status(server: ServerProcess, service: str) -> int:
    with grpc.insecure_channel(server.address) as channel:
        call = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        return int(call(health_pb2.HealthCheckRequest(service=service), timeout=10).status)


def health(server: ServerProcess) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("penstock-server")), "health", "--address", server.address]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def count(caller: Client) -> int:
    return int(caller.rows("select count(*) n from nyc.numbers")[0]["n"])


def shows(caller: Client, numbers: int) -> bool:
    """Whether so many are counted; not yet, where the change ended the statement that counted them."""
    try:
        return count(caller) == numbers
    except grpc.RpcError as error:
        if read_refusal(error).reason != "STATEMENT_ENDED":
            raise
        return False


def test_a_changed_file_is_taken_up_while_a_statement_runs_which_keeps_its_policy(
    server: ServerProcess, alice: Client
) -> None:
    stream = alice.stream("select * from nyc.numbers")
    first = next(stream)
    assert first.header.policy_version == version(alice)
    write(server, WITHOUT_NUMBERS)
    wait_until(lambda: version(alice) != first.header.policy_version, seconds=SECONDS, what="another version")
    assert alice.refused_query("select * from nyc.numbers").reason == "TABLE_NOT_FOUND"
    assert [part.trailer.row_count for part in stream][-1] == NUMBERS


def test_a_changed_rules_dataset_is_taken_up(server: ServerProcess, alice: Client) -> None:
    rules = server.folder / "policies" / "rules"
    rules.mkdir(exist_ok=True)
    (rules / "numbers.csv").write_text('GroupName,text\nanalysts,"row 1,row 2"\n')
    write(server, POLICY + RULES)
    wait_until(lambda: shows(alice, 2), seconds=SECONDS, what="two rows")
    (rules / "numbers.csv").write_text("GroupName,text\nanalysts,row 3\n")
    wait_until(lambda: shows(alice, 1), seconds=SECONDS, what="one row")


def test_a_broken_file_changes_nothing_and_is_told_everywhere(server: ServerProcess, alice: Client) -> None:
    before = version(alice)
    write(server, POLICY.replace("lake.nyc.weather", "lake.nyc.wether"))
    wait_until(
        lambda: status(server, "penstock.policy_files") == health_pb2.HealthCheckResponse.NOT_SERVING,
        seconds=SECONDS,
        what="told by health",
    )
    assert status(server, "") == health_pb2.HealthCheckResponse.SERVING
    assert version(alice) == before
    assert count(alice) == NUMBERS
    place = f"{server.folder / 'policies' / 'nyc.yaml'}:"
    assert any(line.get("problem", "").startswith(place) for line in server.log_lines())
    record = [one for one in records(server.folder) if one["event"] == "policy.load_failed"][-1]
    assert record["policy_version"] == before
    assert record["reason"].startswith(place)
    told = health(server)
    assert told.returncode == 0
    assert "cannot be loaded" in told.stderr
    write(server, POLICY)
    wait_until(
        lambda: status(server, "penstock.policy_files") == health_pb2.HealthCheckResponse.SERVING,
        seconds=SECONDS,
        what="mended",
    )
    assert health(server).stderr == ""


def test_sighup_to_the_supervisor_reloads_and_ends_nothing(server: ServerProcess, alice: Client) -> None:
    front, zygote = server.front().pid, server.zygote().pid

    def signals() -> int:
        return sum(
            one["event"] == "policy.loaded" and dict(one["details"])["causes"] == "signal"
            for one in records(server.folder)
        )

    before = signals()
    server.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: signals() > before, seconds=SECONDS, what="a reload by signal")
    for _ in range(20):
        server.popen.send_signal(signal.SIGHUP)
    assert count(alice) == NUMBERS
    assert (server.front().pid, server.zygote().pid) == (front, zygote)


@pytest.mark.slow
def test_a_sighup_during_the_start_is_kept(tmp_path: Path) -> None:
    port = free_port()
    server = start_server(write_world(tmp_path, port=port), port=port)
    try:
        wait_until(lambda: "front started" in server.written(), seconds=SECONDS, what="a front")
        server.popen.send_signal(signal.SIGHUP)
        server.wait_for_serving()
        wait_until(
            lambda: any(dict(one["details"]).get("causes") == "signal" for one in records(server.folder)),
            seconds=SECONDS,
            what="a reload by signal",
        )
        assert "front ended" not in server.written()
    finally:
        server.stop()
