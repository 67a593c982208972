"""How statements end early, and that nothing is left of them."""

import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from support.calls import Client, client, read_refusal, refusal
from support.server import ServerProcess, running_server, wait_until
from support.small_lake import token_for
from support.trail import details, of_request, records

ENDLESS = "select count(*) from range(100000000000) a, range(1000000) b where (a.range * b.range) % 7 = 3"
LARGE = "select n, repeat(text, 40) t from nyc.numbers, range(40)"
HUNGRY = "select count(distinct list) from (select list(n) list from nyc.numbers, range(400) r group by n % 10, range)"


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with short limits and room for two statements."""
    folder: Path = tmp_path_factory.mktemp("short")
    waiting = "waiting: 32, waiting_per_principal: 16"
    query = f"{{timeout: 10s, stall_timeout: 1s, memory: 128MiB, max_rows: 1000000, concurrency: 2, {waiting}}}"
    with running_server(folder, query=query) as running:
        yield running


@pytest.fixture
def bob(short: ServerProcess) -> Iterator[Client]:
    with client(short.address, token_for("bob")) as caller:
        yield caller


def busy(server: ServerProcess) -> list[int]:
    """Workers that use the processor."""

    def used() -> dict[int, int]:
        found = {}
        for one in server.workers():
            try:
                fields = Path(f"/proc/{one.pid}/stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found[one.pid] = int(fields[11]) + int(fields[12])
        return found

    before = used()
    time.sleep(0.3)
    after = used()
    return [pid for pid, ticks in after.items() if ticks - before.get(pid, ticks) >= 10]


def nothing_is_left(server: ServerProcess) -> None:
    """No worker is at work, no statement waits, and the temporary folders are empty."""
    wait_until(lambda: not busy(server), seconds=10, what="no worker at work")


def admitted(server: ServerProcess) -> int:
    """How many statements have been let in: a loaded machine gives them little processor time."""
    return sum(record["event"] == "query.admitted" for record in records(server.folder))


def finished(server: ServerProcess, reason: str) -> bool:
    return any(record["event"] == "query.finished" and record["reason"] == reason for record in records(server.folder))


def test_a_statement_past_its_own_timeout_is_killed(bob: Client, short: ServerProcess) -> None:
    started = time.monotonic()
    told = bob.refused_query(ENDLESS, timeout=Duration(seconds=1))
    assert (told.code, told.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUERY_TIMEOUT")
    assert time.monotonic() - started < 5
    nothing_is_left(short)
    last = of_request(short.folder, told.request_id)[-1]
    assert (last["event"], last["outcome"], last["reason"]) == ("query.finished", "failed", "QUERY_TIMEOUT")


def test_the_clients_deadline_ends_the_statement_too(bob: Client, short: ServerProcess) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        list(bob.stream(ENDLESS, seconds=1.0))
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    nothing_is_left(short)
    wait_until(lambda: finished(short, "CANCELLED"), seconds=5, what="an audit record of the cancelled statement")


def test_a_statement_past_its_memory_is_told_so(bob: Client, short: ServerProcess) -> None:
    told = bob.refused_query(HUNGRY)
    assert (told.code, told.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUERY_MEMORY")
    nothing_is_left(short)
    assert bob.rows("select 1 one") == [{"one": 1}]


def test_too_many_rows_are_an_error_and_never_cut(bob: Client) -> None:
    told = bob.refused_query("select n from nyc.numbers, range(6)")
    assert (told.code, told.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "ROW_LIMIT")


def test_a_client_that_goes_away_in_mid_stream_leaves_nothing(bob: Client, short: ServerProcess) -> None:
    call = bob.stream("select n, repeat(text, 40) t from nyc.numbers, range(4)")
    header, batch = next(call), next(call)
    assert header.header.schema
    assert batch.record_batch
    before = {one.pid for one in short.workers()}
    call.cancel()
    wait_until(lambda: finished(short, "CANCELLED"), seconds=5, what="an audit record of the cancelled statement")
    nothing_is_left(short)
    wait_until(
        lambda: before - {one.pid for one in short.workers()}, seconds=5, what="the end of the statement's worker"
    )
    assert bob.rows("select 1 one") == [{"one": 1}]


def test_a_client_that_stops_reading_is_cut_off(bob: Client, short: ServerProcess) -> None:
    call = bob.stream("select n, repeat(text, 100) t from nyc.numbers, range(4)")
    header = next(call)
    assert header.header.schema
    # Nothing more is read: flow control fills up, and the patience of one second runs out.
    wait_until(lambda: finished(short, "QUERY_STALLED"), seconds=15, what="an audit record of the stalled statement")
    nothing_is_left(short)
    with refusal() as found:
        list(call)
    assert (found[0].code, found[0].reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUERY_STALLED")


def test_a_stalled_answer_holds_little_memory(bob: Client, short: ServerProcess) -> None:
    def resident() -> int:
        status = Path(f"/proc/{short.front().pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))

    bob.query("select n, text from nyc.numbers")
    before = resident()
    call = bob.stream("select n, repeat(text, 100) t from nyc.numbers, range(4)")
    next(call)
    time.sleep(0.9)
    assert resident() - before < 32 * 1024
    call.cancel()
    nothing_is_left(short)


def test_statements_wait_their_turn_and_all_are_answered(short: ServerProcess, bob: Client) -> None:
    calls = [bob.stream("select count(*) n from nyc.numbers") for _ in range(8)]
    assert all(len(list(call)) == 3 for call in calls)
    nothing_is_left(short)


def test_a_full_queue_says_so_and_others_still_get_in(short: ServerProcess, bob: Client) -> None:
    before = admitted(short)
    calls = [bob.stream(ENDLESS, timeout=Duration(seconds=8)) for _ in range(2)]
    wait_until(lambda: admitted(short) >= before + 2, seconds=60, what="statements at work")
    calls += [bob.stream("select 1") for _ in range(40)]
    with refusal() as found:
        next(calls[-1])
    assert (found[0].code, found[0].reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")
    for call in calls:
        call.cancel()
    nothing_is_left(short)
    with client(short.address, token_for("alice")) as alice:
        assert alice.rows("select 1 one") == [{"one": 1}]


def test_a_cancelled_statement_in_the_queue_gives_its_place_up(short: ServerProcess, bob: Client) -> None:
    before = admitted(short)
    calls = [bob.stream(ENDLESS, timeout=Duration(seconds=8)) for _ in range(2)]
    wait_until(lambda: admitted(short) >= before + 2, seconds=60, what="statements at work")
    waiting = bob.stream("select 1")
    time.sleep(0.2)
    waiting.cancel()
    for call in calls:
        call.cancel()
    nothing_is_left(short)
    assert bob.rows("select 1 one") == [{"one": 1}]


def test_what_ended_early_names_itself_in_the_audit(short: ServerProcess, bob: Client) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        list(bob.stream("select cast(text as integer) from nyc.numbers"))
    told = read_refusal(raised.value)
    assert told.reason == "SQL_EXECUTION"
    last = of_request(short.folder, told.request_id)[-1]
    assert last["reason"] == "SQL_EXECUTION"
    # A failure on rows may quote a cell, so the trail has neither message nor detail of it.
    assert set(details(last)) <= {"rows", "batches", "bytes", "engine_milliseconds", "peer"}
