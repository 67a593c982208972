from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest
from penstock.decoding import AnswerDecoder
from penstock.errors import Unavailable
from penstock.v1 import query_service_pb2
from support.scripted_server import batch, header, trailer

TABLE = pa.table({"origin": ["JFK", None, "LGA"], "distance": pa.array([1, 2, None], pa.int64())})


def _decoder(table: pa.Table = TABLE) -> AnswerDecoder:
    return AnswerDecoder(header(table.schema).header)


def test_schema_and_batches_come_back_as_they_were_sent() -> None:
    decoder = _decoder()

    decoded = decoder.batch(batch(TABLE).record_batch)

    assert decoder.schema.equals(TABLE.schema, check_metadata=True)
    assert pa.Table.from_batches([decoded]).equals(TABLE)


def test_nested_columns_come_back_as_they_were_sent() -> None:
    table = pa.table({"legs": [[{"to": "LAX", "stops": [1, 2]}], [], None]})
    decoder = _decoder(table)

    decoded = decoder.batch(batch(table).record_batch)

    assert pa.Table.from_batches([decoded]).equals(table)


def test_the_trailer_gives_counts_and_engine_time() -> None:
    decoder = _decoder()
    decoder.batch(batch(TABLE).record_batch)
    part = trailer(3, 1).trailer
    part.engine_time.FromMilliseconds(1500)

    assert decoder.finish(part) == (3, timedelta(seconds=1.5))


@pytest.mark.parametrize(("rows", "batches"), [(4, 1), (3, 2), (2, 1), (0, 0), (6, 2)])
def test_a_trailer_that_counts_otherwise_is_an_error(rows: int, batches: int) -> None:
    decoder = _decoder()
    decoder.batch(batch(TABLE).record_batch)

    with pytest.raises(Unavailable) as caught:
        decoder.finish(trailer(rows, batches).trailer)

    assert caught.value.reason == "ANSWER_INCOMPLETE"


OTHER = pa.table({"origin": ["JFK"]})
WHOLE = batch(TABLE).record_batch
DAMAGED = {
    "nothing": b"",
    "noise": b"\x00" * 64,
    "a schema in place of a batch": header(TABLE.schema).header.schema,
    "a batch cut short": WHOLE[:-16],
    "a batch without its body": WHOLE[: len(WHOLE) // 2],
    "a batch of another schema": batch(OTHER).record_batch,
}


@pytest.mark.parametrize("message", DAMAGED.values(), ids=DAMAGED)
def test_a_part_that_is_no_batch_of_the_answer_is_an_error(message: bytes) -> None:
    with pytest.raises(Unavailable) as caught:
        _decoder().batch(message)

    assert caught.value.reason == "ANSWER_UNREADABLE"


@pytest.mark.parametrize("schema", [b"", b"\x00" * 32, WHOLE])
def test_a_header_without_a_schema_is_an_error(schema: bytes) -> None:
    with pytest.raises(Unavailable) as caught:
        AnswerDecoder(query_service_pb2.QueryHeader(schema=schema))

    assert caught.value.reason == "ANSWER_UNREADABLE"
