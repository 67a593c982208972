"""Messages as JSON, frames with caps, and streams that must be whole."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from penstock_server.config.settings import CatalogKind, CatalogSettings
from penstock_server.engines.base import TableReference
from penstock_server.engines.duckdb.shapes import ShapedColumn, TableShape
from penstock_server.engines.duckdb.wire.channel import Channel
from penstock_server.engines.duckdb.wire.encoding import decode, encode
from penstock_server.engines.duckdb.wire.frames import (
    CAPS,
    HEADER,
    BrokenConversation,
    FrameKind,
    FrameStream,
    close_header,
    open_header,
)
from penstock_server.engines.duckdb.wire.messages import (
    BindRequest,
    InspectReply,
    InspectRequest,
    ParseReply,
    ReadOutcome,
    ReadReply,
    RowCount,
    RunRequest,
)
from penstock_server.engines.duckdb.wire.pipes import PipeReader, PipeWriter
from penstock_server.model.resource import S3Location, TableName
from penstock_server.model.schema import Column, ColumnType, TableSchema, TypeFamily

NAME = TableName(catalog="lake", database="shop", table="orders")


@pytest.mark.parametrize(
    "message",
    [
        ParseReply(
            tables=(TableReference(parts=("a", 'b"c'), position=3), TableReference(parts=("é\u2028",), position=None))
        ),
        BindRequest(
            tables=(
                TableShape(name=NAME, references=(("orders",),), columns=(ShapedColumn(name="id", sql_type="BIGINT"),)),
            ),
            parameters=(
                None,
                True,
                1,
                2**80,
                1.5,
                float("inf"),
                -0.0,
                "1",
                Decimal("1.20"),
                date(2026, 1, 2),
                datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
                datetime(2026, 1, 2),  # noqa: DTZ001 - a TIMESTAMP constant has no zone
            ),
        ),
        InspectRequest(
            catalog=CatalogSettings(
                name="lake",
                kind=CatalogKind.PARQUET,
                path=Path("/srv/lake"),
                location=S3Location(bucket="b", key="k"),
            )
        ),
        InspectReply(
            tables=(
                TableSchema(
                    name=NAME,
                    columns=(Column(name="id", type=ColumnType(sql="BIGINT", family=TypeFamily.INTEGER)),),
                    location=None,
                ),
            ),
            problems=("one",),
        ),
        RunRequest(max_rows=None),
        ReadReply(outcome=ReadOutcome.FAULT, rows=3, fault="IOException"),
    ],
)
def test_a_message_comes_back_as_it_was_with_its_types(message: object) -> None:
    back = decode(type(message), encode(message))
    assert back == message
    assert repr(back) == repr(message)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"rows":"1"}',
        b'{"rows":true}',
        b'{"rows":1.0}',
        b'{"rows":1,"more":2}',
        b'{"rows":null}',
        b'{"rows":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"\xff",
    ],
)
def test_json_of_another_shape_is_refused(payload: bytes) -> None:
    with pytest.raises(BrokenConversation):
        decode(RowCount, payload)


@pytest.mark.parametrize(
    "constant", ['["pickle","x"]', '["int","1"]', '["decimal","x"]', '["bool",1]', "1", '["int",1,2]']
)
def test_a_constant_of_unknown_form_is_refused(constant: str) -> None:
    with pytest.raises(BrokenConversation):
        decode(BindRequest, f'{{"tables":[],"parameters":[{constant}]}}'.encode())


def test_what_has_no_form_on_the_wire_is_not_sent() -> None:
    @dataclass(frozen=True)
    class Odd:
        payload: bytes

    with pytest.raises(TypeError):
        encode(Odd(payload=b"x"))


def test_every_kind_of_frame_has_a_cap() -> None:
    assert set(CAPS) == set(FrameKind)


@pytest.mark.parametrize("kind", list(FrameKind))
def test_a_frame_that_announces_too_much_is_refused_before_it_is_read(kind: FrameKind) -> None:
    assert open_header(HEADER.pack(kind, CAPS[kind], 0)).length == CAPS[kind]
    with pytest.raises(BrokenConversation, match="cap"):
        open_header(HEADER.pack(kind, CAPS[kind] + 1, 0))
    with pytest.raises(BrokenConversation, match="cap"):
        close_header(kind, CAPS[kind] + 1, 0)


def test_an_unknown_kind_of_frame_is_refused() -> None:
    with pytest.raises(BrokenConversation, match="unknown"):
        open_header(HEADER.pack(99, 0, 0))


async def test_the_front_takes_no_memory_for_an_announcement() -> None:
    mine, theirs = socket.socketpair()
    channel = Channel(mine)
    theirs.sendall(HEADER.pack(FrameKind.BATCH, 0xFFFFFFFF, 0))
    with pytest.raises(BrokenConversation, match="cap"):
        await channel.receive()
    channel.close()
    theirs.close()


async def test_the_front_notices_a_frame_that_ends_early() -> None:
    mine, theirs = socket.socketpair()
    channel = Channel(mine)
    theirs.sendall(HEADER.pack(FrameKind.BATCH, 10, 0) + b"short")
    theirs.close()
    with pytest.raises(BrokenConversation, match="gone"):
        await channel.receive()
    channel.close()


async def test_large_frames_cross_in_pieces() -> None:
    mine, theirs = socket.socketpair()
    channel, stream = Channel(mine), FrameStream(theirs)
    payload = os.urandom(2 << 20)
    sending = threading.Thread(target=stream.send, args=(FrameKind.BATCH, payload), kwargs={"rows": 7})
    sending.start()
    header, received = await channel.receive()
    sending.join()
    assert (header.kind, header.rows, received) == (FrameKind.BATCH, 7, payload)
    channel.close()
    theirs.close()


async def test_a_descriptor_comes_with_the_frame_that_it_was_sent_with() -> None:
    mine, theirs = socket.socketpair()
    channel, stream = Channel(mine), FrameStream(theirs)
    read_end, write_end = os.pipe()
    await channel.send(FrameKind.RUN, RunRequest(max_rows=1))
    await channel.send_with_descriptor(FrameKind.RUN, RunRequest(max_rows=2), write_end)
    first, second = stream.receive(), stream.receive()
    assert first is not None
    assert second is not None
    assert first.descriptor is None
    assert second.descriptor is not None
    os.write(second.descriptor, b"through")
    assert os.read(read_end, 10) == b"through"
    for descriptor in (read_end, write_end, second.descriptor):
        os.close(descriptor)
    channel.close()
    assert stream.receive() is None
    theirs.close()


def pipe_with(data: bytes) -> PipeReader:
    read_end, write_end = os.pipe()
    os.write(write_end, data)
    os.close(write_end)
    return PipeReader(read_end)


def frame(kind: FrameKind, payload: bytes, rows: int = 0) -> bytes:
    return close_header(kind, len(payload), rows) + payload


SCHEMA = frame(FrameKind.SCHEMA, b"schema")
CHUNKS = frame(FrameKind.CHUNK, b"one", 2) + frame(FrameKind.CHUNK, b"two", 3)


def end(rows: int) -> bytes:
    return frame(FrameKind.END, encode(RowCount(rows=rows)))


def test_a_whole_stream_is_read() -> None:
    reader = pipe_with(SCHEMA + CHUNKS + end(5))
    assert reader.schema() == b"schema"
    assert list(reader.chunks()) == [b"one", b"two"]
    assert (reader.rows, reader.broken) == (5, False)


@pytest.mark.parametrize(
    "data",
    [
        SCHEMA + CHUNKS,  # the reader was killed between two batches
        SCHEMA + CHUNKS[:-2],  # ... or within one
        SCHEMA + CHUNKS + end(5)[:-1],
        SCHEMA + CHUNKS + end(4),
        SCHEMA + CHUNKS + end(6),
        SCHEMA + CHUNKS + SCHEMA,
        SCHEMA + b"\xff" * 9,
        SCHEMA,
    ],
)
def test_a_stream_that_is_not_whole_is_no_stream(data: bytes) -> None:
    reader = pipe_with(data)
    assert reader.schema() == b"schema"
    with pytest.raises(BrokenConversation):
        list(reader.chunks())
    assert reader.broken


def test_a_stream_begins_with_its_schema() -> None:
    reader = pipe_with(CHUNKS + end(5))
    with pytest.raises(BrokenConversation):
        reader.schema()
    assert reader.broken


def test_a_writer_and_a_reader_agree() -> None:
    read_end, write_end = os.pipe()
    writer, reader = PipeWriter(write_end), PipeReader(read_end)
    large = os.urandom(300_000)

    def write() -> None:
        writer.schema(b"schema")
        writer.chunk(large, 10)
        writer.chunk(b"", 0)
        writer.end()

    writing = threading.Thread(target=write)
    writing.start()
    assert reader.schema() == b"schema"
    assert list(reader.chunks()) == [large, b""]
    writing.join()
    assert reader.rows == writer.rows == 10


def test_a_writer_that_nobody_reads_stops() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with pytest.raises(BrokenConversation):
        PipeWriter(write_end).schema(b"schema")
    os.close(write_end)


async def test_a_child_that_ends_as_soon_as_it_has_everything_was_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    mine, theirs = socket.socketpair()
    channel = Channel(mine)
    send = socket.send_fds

    def send_and_see_it_end(connection: socket.socket, data: list[bytes], descriptors: list[int]) -> int:
        sent = send(connection, data, descriptors)
        stream = FrameStream(theirs)
        frame = stream.receive()
        assert frame is not None
        assert frame.descriptor is not None
        os.close(frame.descriptor)
        stream.send(FrameKind.READ_DONE, encode(RowCount(rows=0)))
        theirs.close()
        return sent

    monkeypatch.setattr(socket, "send_fds", send_and_see_it_end)
    await channel.send_with_descriptor(FrameKind.RUN, RunRequest(max_rows=1), 0)
    header, _ = await channel.receive()
    assert header.kind is FrameKind.READ_DONE
    channel.close()


async def test_sending_to_a_child_that_is_gone_is_no_crash() -> None:
    mine, theirs = socket.socketpair()
    theirs.close()
    channel = Channel(mine)
    with pytest.raises(BrokenConversation):
        await channel.send(FrameKind.RUN, RunRequest(max_rows=None))
    with pytest.raises(BrokenConversation):
        await channel.send_with_descriptor(FrameKind.RUN, RunRequest(max_rows=None), 0)
    channel.close()
    await asyncio.sleep(0)
