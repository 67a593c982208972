"""The sample data set is real, whole, and written once."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from penstock_server.dev.data import ROW_COUNTS, write_lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lake(tmp_path_factory.mktemp("lake"))


@pytest.mark.parametrize(("table", "rows"), ROW_COUNTS.items())
def test_each_table_has_all_its_rows(lake: Path, table: str, rows: int) -> None:
    assert pq.ParquetFile(lake / "nyc" / f"{table}.parquet").metadata.num_rows == rows


def test_na_is_null_and_never_text(lake: Path) -> None:
    delays = pq.read_table(lake / "nyc" / "flights.parquet", columns=["dep_delay"]).column(0)
    assert str(delays.type) == "int64"
    assert delays.null_count == 8_255


def test_a_second_run_rewrites_nothing(lake: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in (lake / "nyc").iterdir()}
    write_lake(lake)
    assert {path.name: path.stat().st_mtime_ns for path in (lake / "nyc").iterdir()} == before
