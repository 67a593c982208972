"""Answers that a right server never sends, over real gRPC."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import grpc
import penstock
import pyarrow as pa
import pytest
from penstock import aio
from penstock.v1 import decision_pb2
from support.scripted_server import (
    Part,
    Refusal,
    ScriptedServer,
    answer,
    batch,
    error_info,
    header,
    scripted_server,
    stalled,
    status_bytes,
    trailer,
)

TABLE = pa.table({"origin": ["JFK", None, "LGA", "EWR"], "distance": pa.array([1, 2, 3, None], pa.int64())})


@pytest.fixture
def serve() -> Iterator[Callable[[Any], ScriptedServer]]:
    """Serve one answer: an iterable of parts, or a function of the request."""
    with ExitStack() as running:

        def start(parts: Any) -> ScriptedServer:
            script = parts if callable(parts) else lambda _: parts
            return running.enter_context(scripted_server({"ExecuteQuery": script}))

        yield start


def test_a_whole_answer_is_read_in_every_form(serve: Callable[[Any], ScriptedServer]) -> None:
    server = serve(answer(TABLE, batches=2))
    with penstock.connect(server.address, token="t") as broker:
        result = broker.query("select 1")

        assert result.schema == TABLE.schema
        before = result.row_count
        assert result.to_arrow().equals(TABLE)
        assert result.rows() == [("JFK", 1), (None, 2), ("LGA", 3), ("EWR", None)]
        assert result.to_pandas().shape == (4, 2)
        assert (before, result.row_count) == (None, 4)
        assert result.engine_time == timedelta()
        assert [batch.num_rows for batch in broker.query("select 1")] == [2, 2]


async def test_the_asynchronous_client_reads_the_same(serve: Callable[[Any], ScriptedServer]) -> None:
    server = serve(answer(TABLE, batches=2))
    async with aio.connect(server.address, token="t") as broker:
        result = await broker.query("select 1")
        assert (await result.to_arrow()).equals(TABLE)
        assert await result.rows() == [("JFK", 1), (None, 2), ("LGA", 3), ("EWR", None)]
        assert [batch.num_rows async for batch in await broker.query("select 1")] == [2, 2]


def test_an_answer_without_rows_has_its_schema(serve: Callable[[Any], ScriptedServer]) -> None:
    server = serve(answer(TABLE.slice(0, 0)))
    with penstock.connect(server.address, token="t") as broker:
        result = broker.query("select 1")

        assert result.to_arrow().schema == TABLE.schema
        assert result.rows() == []


def test_the_statement_arrives_as_it_was_written(serve: Callable[[Any], ScriptedServer]) -> None:
    server = serve(answer(TABLE))
    with penstock.connect(server.address, token="t") as broker:
        broker.query("select $1 -- ü", catalog="lake", parameters=["a", 1], timeout=2.5).to_arrow()

    [seen] = server.seen
    assert seen.request.sql == "select $1 -- ü"
    assert seen.request.catalog == "lake"
    assert [each.WhichOneof("kind") for each in seen.request.parameters] == ["string_value", "integer_value"]
    assert seen.request.timeout.ToTimedelta() == timedelta(seconds=2.5)
    assert seen.metadata["authorization"] == "Bearer t"


def test_without_a_timeout_the_server_has_its_own(serve: Callable[[Any], ScriptedServer]) -> None:
    server = serve(answer(TABLE))
    with penstock.connect(server.address, token="t") as broker:
        broker.query("select 1").to_arrow()

    assert not server.seen[0].request.HasField("timeout")


def test_the_explanation_tells_what_shaped_the_answer(serve: Callable[[Any], ScriptedServer]) -> None:
    applied = decision_pb2.AppliedPolicy(
        table="lake.nyc.flights",
        grants=["analysts"],
        row_rules=["carriers"],
        masked_columns=[decision_pb2.MaskedColumn(column="tailnum", mask="hidden")],
        partly_null_columns=["dest"],
        rows_filtered=True,
        columns_left_out=True,
    )
    server = serve(answer(TABLE, applied_policies=[applied], policy_version="v1"))
    with penstock.connect(server.address, token="t") as broker:
        result = broker.query("select 1")

    assert result.policy_version == "v1"
    assert result.query_id == "req-1"
    assert result.explanation == (
        penstock.AppliedPolicy(
            table="lake.nyc.flights",
            grants=("analysts",),
            row_rules=("carriers",),
            masked_columns=(penstock.MaskedColumn(column="tailnum", mask="hidden"),),
            partly_null_columns=("dest",),
            rows_filtered=True,
            columns_left_out=True,
        ),
    )


WHOLE = answer(TABLE, batches=2)
CUT = {
    "nothing at all": ([], "ANSWER_INCOMPLETE"),
    "a header alone": (WHOLE[:1], "ANSWER_INCOMPLETE"),
    "no trailer": (WHOLE[:-1], "ANSWER_INCOMPLETE"),
    "a batch left out": ([WHOLE[0], WHOLE[2], WHOLE[3]], "ANSWER_INCOMPLETE"),
    "a batch sent twice": ([WHOLE[0], WHOLE[1], WHOLE[1], WHOLE[2], WHOLE[3]], "ANSWER_INCOMPLETE"),
    "rows miscounted": ([*WHOLE[:-1], trailer(5, 2)], "ANSWER_INCOMPLETE"),
    "no header": (WHOLE[1:], "ANSWER_UNREADABLE"),
    "two headers": ([WHOLE[0], *WHOLE], "ANSWER_UNREADABLE"),
    "more after the trailer": ([*WHOLE, WHOLE[1]], "ANSWER_UNREADABLE"),
    "an empty part": ([WHOLE[0], Part(), *WHOLE[1:]], "ANSWER_UNREADABLE"),
    "noise in place of a batch": ([WHOLE[0], Part(record_batch=b"noise"), *WHOLE[2:]], "ANSWER_UNREADABLE"),
}


@pytest.mark.parametrize(("parts", "reason"), CUT.values(), ids=CUT)
def test_an_answer_that_is_not_whole_is_an_error_and_never_a_short_table(
    serve: Callable[[Any], ScriptedServer], parts: list[Part], reason: str
) -> None:
    server = serve(parts)
    with penstock.connect(server.address, token="t") as broker, pytest.raises(penstock.Unavailable) as caught:
        broker.query("select 1").to_arrow()

    assert caught.value.reason == reason


def test_after_a_failure_nothing_more_can_be_read(serve: Callable[[Any], ScriptedServer]) -> None:
    server = serve(WHOLE[:-1])
    with penstock.connect(server.address, token="t") as broker:
        result = broker.query("select 1")
        with pytest.raises(penstock.Unavailable):
            result.to_arrow()

        for again in (result.to_arrow, result.rows, result.next_batch, lambda: list(result)):
            with pytest.raises(penstock.PenstockError, match="failed"):
                again()


def test_an_error_in_the_middle_of_an_answer_is_the_errors_own_class(serve: Callable[[Any], ScriptedServer]) -> None:
    def parts(_: object) -> Iterator[Part]:
        yield from WHOLE[:2]
        code = grpc.StatusCode.RESOURCE_EXHAUSTED
        info = error_info("ROW_LIMIT", limit="query.max_rows", value="2")
        raise Refusal(code=code, status=status_bytes(code, "too many rows", info))

    server = serve(parts)
    with penstock.connect(server.address, token="t") as broker:
        result = broker.query("select 1")
        with pytest.raises(penstock.LimitExceeded) as caught:
            result.to_arrow()

    assert caught.value.value == "2"
    assert caught.value.request_id == "req-1"


def test_what_has_been_iterated_does_not_pass_for_the_whole_table(serve: Callable[[Any], ScriptedServer]) -> None:
    server = serve(WHOLE)
    with penstock.connect(server.address, token="t") as broker:
        result = broker.query("select 1")
        next(iter(result))

        with pytest.raises(penstock.PenstockError) as caught:
            result.to_arrow()

    assert caught.value.reason == "ANSWER_CONSUMED"


def test_a_row_wider_than_the_default_limit_of_grpc_arrives(serve: Callable[[Any], ScriptedServer]) -> None:
    table = pa.table({"note": ["x" * 5_000_000]})
    server = serve(answer(table))
    with penstock.connect(server.address, token="t") as broker:
        assert broker.query("select 1").to_arrow().equals(table)


def test_leaving_the_block_early_cancels_at_the_server(serve: Callable[[Any], ScriptedServer]) -> None:
    release = threading.Event()
    server = serve(lambda _: stalled(WHOLE[:2], release))
    with penstock.connect(server.address, token="t") as broker:
        with broker.query("select 1") as result:
            next(iter(result))
        assert server.ended.wait(10)
        release.set()

        with pytest.raises(penstock.PenstockError, match="cancelled"):
            result.next_batch()


def test_closing_the_broker_cancels_what_runs(serve: Callable[[Any], ScriptedServer]) -> None:
    release = threading.Event()
    server = serve(lambda _: stalled(WHOLE[:1], release))
    with penstock.connect(server.address, token="t") as broker:
        result = broker.query("select 1")
    assert server.ended.wait(10)
    release.set()

    with pytest.raises(penstock.PenstockError):
        result.next_batch()


def test_a_cancel_from_another_thread_is_an_error_for_the_reader(serve: Callable[[Any], ScriptedServer]) -> None:
    release = threading.Event()
    server = serve(lambda _: stalled(WHOLE[:1], release))
    with penstock.connect(server.address, token="t") as broker:
        result = broker.query("select 1")
        caught: list[BaseException] = []

        def read() -> None:
            try:
                result.to_arrow()
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is looked at below
                caught.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        result.cancel()
        reader.join(10)
        release.set()

    [error] = caught
    assert isinstance(error, penstock.PenstockError)
    assert error.reason == "CANCELLED"


@pytest.mark.parametrize("parts", [0, 1])
def test_an_interrupt_cancels_at_the_server_while_the_program_goes_on(
    serve: Callable[[Any], ScriptedServer], parts: int
) -> None:
    release = threading.Event()
    server = serve(lambda _: stalled(WHOLE[:parts], release))

    def interrupt() -> None:
        server.begun.wait(10)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with penstock.connect(server.address, token="t") as broker:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            broker.query("select 1").to_arrow()
        assert server.ended.wait(10)
        release.set()


async def test_cancelling_the_task_cancels_at_the_server(serve: Callable[[Any], ScriptedServer]) -> None:
    release = threading.Event()
    server = serve(lambda _: stalled(WHOLE[:1], release))
    async with aio.connect(server.address, token="t") as broker:
        result = await broker.query("select 1")
        task = asyncio.create_task(result.to_arrow())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.ended.wait, 10)
        release.set()


async def test_cancelling_before_the_header_cancels_at_the_server(serve: Callable[[Any], ScriptedServer]) -> None:
    release = threading.Event()
    server = serve(lambda _: stalled([], release))
    async with aio.connect(server.address, token="t") as broker:
        task = asyncio.create_task(broker.query("select 1"))
        assert await asyncio.to_thread(server.begun.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.ended.wait, 10)
        release.set()


def test_a_server_that_keeps_silent_past_the_timeout_is_given_up(
    serve: Callable[[Any], ScriptedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.results.GRACE", timedelta())
    release = threading.Event()
    server = serve(lambda _: stalled(WHOLE[:1], release))
    with penstock.connect(server.address, token="t") as broker:
        result = broker.query("select 1", timeout=0.3)
        with pytest.raises(penstock.Unavailable) as caught:
            result.to_arrow()
        assert server.ended.wait(10)
        release.set()

    assert caught.value.reason == "DEADLINE_EXCEEDED"


def test_a_result_that_nobody_keeps_ends_at_the_server(serve: Callable[[Any], ScriptedServer]) -> None:
    release = threading.Event()
    server = serve(lambda _: stalled(WHOLE[:1], release))
    with penstock.connect(server.address, token="t") as broker:
        result = broker.query("select 1")
        del result
        gc.collect()
        assert server.ended.wait(10)
        release.set()


def test_two_brokers_in_one_process_do_not_disturb_each_other(
    serve: Callable[[Any], ScriptedServer], capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve(answer(TABLE, batches=4))
    brokers = [penstock.connect(server.address, token="t") for _ in range(3)]
    threads = [
        threading.Thread(target=lambda broker=broker: [broker.query("q").to_arrow() for _ in range(20)])
        for broker in brokers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for broker in brokers:
        broker.close()

    assert len(server.seen) == 60
    assert capfd.readouterr().err == ""


def test_a_batch_of_a_schema_that_was_not_announced_is_an_error(serve: Callable[[Any], ScriptedServer]) -> None:
    other = pa.table({"distance": pa.array([1.5])})
    server = serve([header(TABLE.schema), batch(other), trailer(1, 1)])
    with penstock.connect(server.address, token="t") as broker, pytest.raises(penstock.Unavailable):
        broker.query("select 1").to_arrow()
