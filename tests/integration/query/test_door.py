"""The query door over the real engine, a real policy and a real audit trail, without a network."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from penstock_server.errors import LimitExceeded, QueryError, Reason, Unavailable
from penstock_server.model.audit import Event
from penstock_server.model.request import RequestContext
from penstock_server.query.requests import QueryHeader, QueryTrailer
from support.query_stand import analyst, context, request, run, standing

ENDLESS = "select count(*) from nyc.airlines, range(100000000000) a, range(1000000) b where (a.range * b.range) % 7 = 3"
LARGE = "select n, repeat(text, 40) t from nyc.numbers, range(4)"


async def test_an_answer_is_a_header_batches_and_a_trailer_with_its_trail(tmp_path: Path) -> None:
    async with standing(tmp_path) as stand:
        parts = await run(stand, "r1", request("select n from nyc.numbers where n < 5"))
        header, batches, trailer = parts[0], parts[1:-1], parts[-1]
        assert isinstance(header, QueryHeader)
        assert isinstance(trailer, QueryTrailer)
        assert all(isinstance(batch, bytes) for batch in batches)
        assert (trailer.row_count, trailer.batch_count) == (5, len(batches))
        records = await stand.records("r1")
    assert [record.event for record in records] == [Event.QUERY_ADMITTED, Event.QUERY_FINISHED]
    assert records[0].policy_version == header.policy_version


async def test_before_any_policy_is_bound_nothing_is_answered(tmp_path: Path) -> None:
    async with standing(tmp_path) as stand:
        stand.policies._in_force = None
        with pytest.raises(Unavailable) as refused:
            await run(stand, "r1", request("select 1"))
        assert refused.value.reason is Reason.POLICY_NOT_LOADED
        assert [record.event for record in await stand.records("r1")] == [Event.QUERY_REFUSED]


async def test_a_statement_ends_with_the_decision_that_it_stands_on(tmp_path: Path) -> None:
    async with standing(tmp_path) as stand:
        ends = datetime.now(UTC) + timedelta(seconds=3)
        await stand.replace_policy(
            "version: 1\ngrants:\n  - name: for-a-moment\n    principals: [everyone]\n    resource: lake.nyc.airlines\n"
            f"    permissions: [SELECT]\n    expires: {ends.strftime('%Y-%m-%dT%H:%M:%SZ')}\n"
        )
        with pytest.raises(LimitExceeded) as ended:
            await run(stand, "r1", request(ENDLESS))
        assert (ended.value.reason, ended.value.limit) == (Reason.QUERY_TIMEOUT, "decision")
        assert datetime.now(UTC) - ends < timedelta(seconds=2)
        with pytest.raises(QueryError) as gone:
            await run(stand, "r2", request("select * from nyc.airlines"))
        assert gone.value.reason is Reason.TABLE_NOT_FOUND


async def test_a_statement_under_way_keeps_its_policy_and_the_next_one_has_the_new(tmp_path: Path) -> None:
    async with standing(tmp_path) as stand:
        old = stand.policies.bound().version
        async with contextlib.aclosing(stand.door.execute(analyst(), request(LARGE), context("r1"))) as parts:
            header = await anext(parts)
            new = await stand.replace_policy("version: 1\n")
            rest = [part async for part in parts]
        assert isinstance(header, QueryHeader)
        assert header.policy_version == old != new.version
        assert isinstance(rest[-1], QueryTrailer)
        assert rest[-1].row_count == 800_000
        with pytest.raises(QueryError):
            await run(stand, "r2", request(LARGE))
        versions = {name: [record.policy_version for record in await stand.records(name)] for name in ("r1", "r2")}
    assert versions == {"r1": [old, old], "r2": [new.version]}


async def test_a_reader_who_stops_reading_ends_the_statement_and_frees_its_place(tmp_path: Path) -> None:
    async with standing(tmp_path, stall_timeout=timedelta(milliseconds=300), concurrency=1) as stand:
        async with contextlib.aclosing(stand.door.execute(analyst(), request(LARGE), context("r1"))) as parts:
            await anext(parts)
            # The place is free again although nobody reads or closes the first statement.
            assert len(await asyncio.wait_for(run(stand, "r2", request("select 1")), 10)) == 3
            with pytest.raises(LimitExceeded) as stalled:
                await anext(parts)
        assert stalled.value.reason is Reason.QUERY_STALLED
        records = await stand.records("r1")
    assert [(record.event, record.reason) for record in records] == [
        (Event.QUERY_ADMITTED, ""),
        (Event.QUERY_FINISHED, "QUERY_STALLED"),
    ]


async def test_a_reader_who_goes_away_ends_the_statement_before_the_close_returns(tmp_path: Path) -> None:
    async with standing(tmp_path, concurrency=1) as stand:
        parts = stand.door.execute(analyst(), request(LARGE), context("r1"))
        await anext(parts)
        await anext(parts)
        await parts.aclose()
        last = (await stand.records("r1"))[-1]
        assert (last.event, last.reason) == (Event.QUERY_FINISHED, "CANCELLED")
        assert len(await run(stand, "r2", request("select 1"))) == 3


async def test_a_task_that_is_cancelled_while_it_waits_leaves_a_record_and_no_place(tmp_path: Path) -> None:
    async with standing(tmp_path, concurrency=1) as stand:
        first = asyncio.create_task(run(stand, "r1", request(ENDLESS)))
        await asyncio.sleep(0.5)
        second = asyncio.create_task(run(stand, "r2", request("select 1")))
        await asyncio.sleep(0.1)
        for task in (second, first):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert [(record.event, record.reason) for record in await stand.records("r2")] == [
            (Event.QUERY_REFUSED, "CANCELLED")
        ]
        assert len(await run(stand, "r3", request("select 1"))) == 3


async def test_a_condition_on_the_address_is_about_the_connection_that_asks(tmp_path: Path) -> None:
    async with standing(tmp_path) as stand:
        await stand.replace_policy(
            "version: 1\ngrants:\n  - name: office\n    principals: [everyone]\n    resource: lake.nyc.airlines\n"
            '    permissions: [SELECT]\n    conditions: {IpAddress: {"penstock:SourceIp": 127.0.0.0/8}}\n'
        )
        asked = request("select * from nyc.airlines")
        assert isinstance((await run(stand, "r1", asked))[-1], QueryTrailer)
        away = RequestContext(request_id="r2", peer_address="192.0.2.1", client_certificate=None)
        async with contextlib.aclosing(stand.door.execute(analyst(), asked, away)) as parts:
            with pytest.raises(QueryError) as refused:
                await anext(parts)
        assert refused.value.reason is Reason.TABLE_NOT_FOUND


async def test_a_pivot_that_finds_its_values_gives_its_columns_with_the_header(tmp_path: Path) -> None:
    sql = "pivot (from nyc.numbers where n < 5) on n % 2 using count(*) group by text"
    async with standing(tmp_path) as stand:
        header, *_, trailer = await run(stand, "r1", request(sql))
        assert isinstance(header, QueryHeader)
        assert isinstance(trailer, QueryTrailer)
        assert pa.ipc.read_schema(pa.py_buffer(header.schema)).names == ["text", "0", "1"]
        records = await stand.records("r1")
        assert [record.event for record in records] == [Event.QUERY_ADMITTED, Event.QUERY_FINISHED]
        with pytest.raises(QueryError, match="known only once it runs"):
            await stand.door.describe(analyst(), request(sql), context("r2"))
        # What the engine finds wrong when it runs comes behind the record that admits the statement.
        with pytest.raises(QueryError):
            await run(stand, "r3", request("pivot nyc.numbers on n using sum(text::integer)"))
        failed = await stand.records("r3")
    assert [record.event for record in failed] == [Event.QUERY_ADMITTED, Event.QUERY_FINISHED]


async def test_a_plan_comes_through_the_door_in_the_callers_names(tmp_path: Path) -> None:
    async with standing(tmp_path) as stand:
        header, batch, _ = await run(stand, "r1", request("explain select n from nyc.numbers where n > 5"))
        assert isinstance(header, QueryHeader)
        assert isinstance(batch, bytes)
        schema = pa.ipc.read_schema(pa.py_buffer(header.schema))
        ((plan,),) = [pa.ipc.read_record_batch(pa.py_buffer(batch), schema)["explain_value"].to_pylist()]
        described = await stand.door.describe(analyst(), request("explain select 1"), context("r2"))
    assert "Table: lake.nyc.numbers" in plan
    assert "(n > 5)" in plan
    assert described.schema == header.schema
