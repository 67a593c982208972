from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from penstock.cli.destinations import open_destination
from penstock.cli.formats import Format, of_suffix
from penstock.cli.formats.columnar import ArrowWriter, ParquetWriter
from penstock.cli.formats.json_rows import JsonWriter
from penstock.cli.formats.separated import CsvWriter
from penstock.cli.formats.values import json_text, texts
from penstock.errors import InvalidRequest

INSTANT = datetime(2013, 1, 1, 5, 0, 1, tzinfo=UTC)
COLUMNS = pa.table(
    {
        "text": ["JFK", None, "", 'a "b", c\nd'],
        "whole": pa.array([1, None, -3, 2**63 - 1], pa.int64()),
        "real": [1.5, None, float("nan"), 1e300],
        "exact": pa.array([Decimal("12.50"), None, Decimal(0), Decimal("-0.01")], pa.decimal128(38, 2)),
        "truth": [True, None, False, True],
        "day": [date(2013, 1, 1), None, None, None],
        "clock": [time(1, 2, 3), None, None, None],
        "instant": pa.array([INSTANT, None, None, None], pa.timestamp("us", tz="UTC")),
        "bytes": [b"\x00\xff", None, b"", b"a"],
        "list": [[1, None], None, [], [2]],
        "struct": [{"a": "x", "b": Decimal("1.50")}, None, {"a": None, "b": None}, None],
        "span": [timedelta(days=1), None, None, None],
        "nothing": pa.nulls(4),
    }
)


def _batches() -> list[pa.RecordBatch]:
    return list(COLUMNS.to_batches(max_chunksize=3))


def _csv(table: pa.Table = COLUMNS) -> str:
    stream = io.BytesIO()
    writer = CsvWriter(stream, table.schema)
    for batch in table.to_batches(max_chunksize=3):
        writer.write(batch)
    writer.finish()
    return stream.getvalue().decode()


def test_csv_keeps_every_value_readable() -> None:
    heading, first, *_ = csv.reader(io.StringIO(_csv()))

    assert dict(zip(heading, first, strict=True)) == {
        "text": "JFK",
        "whole": "1",
        "real": "1.5",
        "exact": "12.50",
        "truth": "true",
        "day": "2013-01-01",
        "clock": "01:02:03.000000",
        "instant": "2013-01-01 05:00:01.000000Z",
        "bytes": "00ff",
        "list": "[1, null]",
        "struct": '{"a": "x", "b": 1.50}',
        "span": "1 day, 0:00:00",
        "nothing": "",
    }


def test_csv_tells_null_from_the_empty_text() -> None:
    assert _csv(COLUMNS.select(["text"])) == '"text"\n"JFK"\n\n""\n"a ""b"", c\nd"\n'


def test_json_is_one_array_of_objects() -> None:
    stream = io.BytesIO()
    writer = JsonWriter(stream, COLUMNS.schema)
    for batch in _batches():
        writer.write(batch)
    writer.finish()
    first, second, third, _ = json.loads(stream.getvalue(), parse_float=Decimal)

    assert first == {
        "text": "JFK",
        "whole": 1,
        "real": Decimal("1.5"),
        "exact": Decimal("12.50"),
        "truth": True,
        "day": "2013-01-01",
        "clock": "01:02:03",
        "instant": "2013-01-01 05:00:01+00:00",
        "bytes": "00ff",
        "list": [1, None],
        "struct": {"a": "x", "b": Decimal("1.50")},
        "span": "1 day, 0:00:00",
        "nothing": None,
    }
    assert set(second.values()) == {None}
    assert third["real"] == "nan"


def test_json_of_no_rows_is_an_empty_array() -> None:
    stream = io.BytesIO()
    JsonWriter(stream, COLUMNS.schema).finish()

    assert json.loads(stream.getvalue()) == []


def test_json_of_an_answer_that_ended_early_is_no_document() -> None:
    stream = io.BytesIO()
    JsonWriter(stream, COLUMNS.schema).write(_batches()[0])

    with pytest.raises(ValueError, match="Expecting"):
        json.loads(stream.getvalue())


def test_json_refuses_two_columns_of_one_name() -> None:
    schema = pa.schema([("a", pa.int64()), ("a", pa.int64())])

    with pytest.raises(InvalidRequest) as caught:
        JsonWriter(io.BytesIO(), schema)

    assert caught.value.field == "--format"


@pytest.mark.parametrize("value", [float("inf"), Decimal("NaN")])
def test_what_json_has_no_number_for_is_text(value: object) -> None:
    assert isinstance(json.loads(json_text(value)), str)


def test_arrow_and_parquet_keep_types_and_values() -> None:
    table = COLUMNS.drop_columns(["span", "real"])
    arrow, parquet = io.BytesIO(), io.BytesIO()
    for writer in (ArrowWriter(arrow, table.schema), ParquetWriter(parquet, table.schema)):
        for batch in table.to_batches(max_chunksize=3):
            writer.write(batch)
        writer.finish()

    assert pa.ipc.open_stream(arrow.getvalue()).read_all().equals(table)
    assert pyarrow.parquet.read_table(io.BytesIO(parquet.getvalue())).to_pydict() == table.to_pydict()


def test_an_interval_is_shown_too() -> None:
    assert texts(pa.array([pa.MonthDayNano([1, 2, 3]), None]))[1] is None


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.csv", Format.CSV), ("a.JSON", Format.JSON), ("a.arrow", Format.ARROW), ("a.parquet", Format.PARQUET)],
)
def test_a_file_name_tells_its_format(name: str, form: Format) -> None:
    assert of_suffix(Path(name)) is form


@pytest.mark.parametrize("name", ["a", "a.table", "a.txt", "csv"])
def test_any_other_file_name_tells_none(name: str) -> None:
    assert of_suffix(Path(name)) is None


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    file = tmp_path / "answer.csv"
    with open_destination(file) as stream:
        stream.write(b"whole")
        assert not file.exists()

    assert file.read_bytes() == b"whole"
    assert file.stat().st_mode & 0o077 == 0


def test_a_file_is_left_alone_when_the_answer_ends_early(tmp_path: Path) -> None:
    file = tmp_path / "answer.csv"
    file.write_bytes(b"before")

    def write_a_part() -> None:
        with open_destination(file) as stream:
            stream.write(b"part")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        write_a_part()

    assert file.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_is_followed_and_not_replaced(tmp_path: Path) -> None:
    file, link = tmp_path / "answer.csv", tmp_path / "link.csv"
    link.symlink_to(file)

    with open_destination(link) as stream:
        stream.write(b"whole")

    assert link.is_symlink()
    assert file.read_bytes() == b"whole"


def test_a_device_is_written_to_and_not_replaced() -> None:
    with open_destination(Path("/dev/null")) as stream:
        stream.write(b"whole")

    assert Path("/dev/null").is_char_device()
