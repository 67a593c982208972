"""What administrators see of statements and extracts, and end."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import penstock
import pytest
from penstock_server.cli.main import run
from support.server import ServerProcess, running_server, wait_until
from support.small_lake import token_for
from support.trail import records

ENDLESS = "select count(*) from nyc.numbers, range(100000000000) a, range(1000000) b where (a.range * b.range) % 7 = 3"


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that keeps extracts."""
    query = "{timeout: 60s, memory: 256MiB, concurrency: 2, extracts: {memory: 64MiB}}"
    with running_server(tmp_path_factory.mktemp("keeping"), query=query) as running:
        yield running


def connected(server: ServerProcess, who: str) -> penstock.Broker:
    return penstock.connect(server.address, token=token_for(who))


@pytest.fixture
def command(keeping: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options by which a command asks the server as an administrator."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    token = tmp_path / "token"
    token.write_text(token_for("dave"))
    return ["--server", keeping.address, "--token-file", str(token)]


def test_extracts_are_warmed_listed_and_dropped(
    keeping: ServerProcess, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["extracts", "warm", "lake.nyc.flights", "--as", "alice", "--group", "analysts", *command]) == 0
    with connected(keeping, "alice") as alice:
        alice.query("select count(carrier) from nyc.flights").rows()
    capsys.readouterr()
    assert run(["extracts", "list", "--json", *command]) == 0
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "flights" in line]
    assert line["table"] == "lake.nyc.flights"
    # What alice may see: no `delay`.
    assert line["columns"] == ["flight", "origin", "carrier", "tail"]
    assert line["hits"] == 1
    assert line["size_bytes"] > 0
    assert set(line) == {"extract_id", "table", "columns", "size_bytes", "created_at", "hits", "readers"}
    assert run(["extracts", "drop", line["extract_id"], *command]) == 0
    assert run(["extracts", "drop", line["extract_id"], *command]) == 1
    capsys.readouterr()
    assert run(["extracts", "list", *command]) == 0
    assert "flights" not in capsys.readouterr().out
    assert run(["extracts", "drop", "--all", *command]) == 0
    assert run(["extracts", "drop", *command]) == 2


def test_nothing_is_warmed_for_somebody_who_may_not_read_it(keeping: ServerProcess, command: list[str]) -> None:
    assert run(["extracts", "warm", "lake.nyc.flights", "--as", "nobody", *command]) == 1


def test_a_statement_under_way_is_listed_and_ended(
    keeping: ServerProcess, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    ended: list[penstock.PenstockError] = []

    def ask() -> None:
        with connected(keeping, "alice") as alice:
            try:
                alice.query(ENDLESS).rows()
            except penstock.PenstockError as error:
                ended.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    with connected(keeping, "dave") as dave:
        wait_until(
            lambda: any(query.phase == "answering" for query in dave.operations.queries()),
            seconds=30,
            what="a statement that is answered",
        )
        (query,) = dave.operations.queries()
    assert (query.subject, query.tables) == ("alice", ("lake.nyc.numbers",))
    assert run(["queries", "list", *command]) == 0
    printed = capsys.readouterr().out
    assert query.query_id in printed
    assert "select" not in printed
    assert run(["queries", "cancel", query.query_id, *command]) == 0
    asking.join(30)
    (error,) = ended
    assert isinstance(error, penstock.AccessDenied)
    assert (error.reason, error.metadata["cause"]) == ("STATEMENT_ENDED", "administrator")
    assert run(["queries", "cancel", query.query_id, *command]) == 1
    told = [(record["event"], record["outcome"]) for record in records(keeping.folder)]
    assert ("query.cancelled", "allowed") in told
    assert ("query.cancelled", "refused") in told


def test_these_calls_are_for_administrators(keeping: ServerProcess) -> None:
    with connected(keeping, "alice") as alice:
        for call in (
            alice.operations.queries,
            alice.operations.extracts,
            alice.operations.drop_extracts,
            lambda: alice.operations.cancel_query("00000000-0000-4000-8000-000000000000"),
            lambda: alice.operations.warm_extract("lake.nyc.flights", username="bob"),
        ):
            with pytest.raises(penstock.AccessDenied) as refused:
                call()
            assert refused.value.reason == "ROLE_REQUIRED"


def test_the_statements_of_a_revoked_person_end(keeping: ServerProcess) -> None:
    ended: list[penstock.PenstockError] = []

    def ask() -> None:
        with connected(keeping, "alice") as alice:
            try:
                alice.query(ENDLESS).rows()
            except penstock.PenstockError as error:
                ended.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    with connected(keeping, "dave") as dave:
        wait_until(
            lambda: any(query.phase == "answering" for query in dave.operations.queries()),
            seconds=30,
            what="a statement that is answered",
        )
    assert run(["leases", "revoke-person", "alice", "--config", str(keeping.folder / "penstock.yaml")]) == 0
    asking.join(30)
    assert [(error.reason, error.metadata["cause"]) for error in ended] == [("STATEMENT_ENDED", "revoked")]
