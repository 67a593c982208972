"""A running server whose rules come from a query: refreshed, kept while it fails, closed when they are too old."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from grpc_health.v1 import health_pb2
from support.calls import Client, client
from support.server import ServerProcess, free_port, start_server, wait_until
from support.small_lake import POLICY, token_for, write_world
from support.trail import records

SECONDS = 60.0
RULES = """\
row_rules:
  - resource: lake.nyc.numbers
    name: texts
    rules:
      query: |
        SELECT 'analysts' AS "GroupName", 'row ' || salary AS text FROM nyc.salaries
      catalog: lake
      refresh: 10s
      max_staleness: 20s
"""

pytestmark = pytest.mark.slow


def write_salaries(folder: Path, *salaries: int) -> None:
    """Put another file in place of the table that the rules are read from."""
    fresh = folder / "fresh"
    pq.write_table(pa.table({"name": ["x"] * len(salaries), "salary": list(salaries)}), fresh)
    fresh.rename(folder / "lake" / "nyc" / "salaries.parquet")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("rules")
    port = free_port()
    path = write_world(folder, port=port, policy=POLICY + RULES)
    write_salaries(folder, 5)
    running = start_server(path, port=port)
    try:
        running.wait_for_serving()
        yield running
    finally:
        running.stop()


@pytest.fixture
def alice(server: ServerProcess) -> Iterator[Client]:
    with client(server.address, token_for("alice")) as caller:
        yield caller


def status(server: ServerProcess, service: str) -> int:
    with grpc.insecure_channel(server.address) as channel:
        call = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        return int(call(health_pb2.HealthCheckRequest(service=service), timeout=10).status)


def texts(caller: Client) -> list[object]:
    return [row["text"] for row in caller.rows("select text from nyc.numbers order by n")]


def shows(caller: Client, *expected: str) -> bool:
    """Whether the table shows these rows; a statement that meets the end of its decision is ended, and shows none."""
    try:
        return texts(caller) == list(expected)
    except grpc.RpcError:
        return False


def test_rules_follow_their_query_and_close_when_it_fails_for_too_long(server: ServerProcess, alice: Client) -> None:
    assert texts(alice) == ["row 5"]
    wait_until(
        lambda: status(server, "penstock.rules_queries") == health_pb2.HealthCheckResponse.SERVING,
        seconds=SECONDS,
        what="health",
    )
    with client(server.address, token_for("bob")) as bob:
        assert texts(bob) == []
    write_salaries(server.folder, 5, 6)
    wait_until(lambda: shows(alice, "row 5", "row 6"), seconds=SECONDS, what="the refreshed rules")
    [*_, loaded] = [one for one in records(server.folder) if one["event"] == "policy.loaded"]
    assert ["rules_datasets", "texts"] in [list(pair) for pair in loaded["details"]]
    (server.folder / "lake" / "nyc" / "salaries.parquet").rename(server.folder / "away")
    wait_until(
        lambda: status(server, "penstock.rules_queries") == health_pb2.HealthCheckResponse.NOT_SERVING,
        seconds=SECONDS,
        what="the failure",
    )
    assert status(server, "") == health_pb2.HealthCheckResponse.SERVING
    wait_until(lambda: shows(alice), seconds=SECONDS, what="rules that are too old")
    (server.folder / "away").rename(server.folder / "lake" / "nyc" / "salaries.parquet")
    wait_until(lambda: shows(alice, "row 5", "row 6"), seconds=SECONDS, what="rules that work again")
    wait_until(
        lambda: status(server, "penstock.rules_queries") == health_pb2.HealthCheckResponse.SERVING,
        seconds=SECONDS,
        what="the end of the failure",
    )
