"""Which format, and what each has in common."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from penstock import Result

if TYPE_CHECKING:
    import pyarrow as pa


class Format(StrEnum):
    """How the rows of an answer are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    ARROW = "arrow"
    PARQUET = "parquet"


class Writer(Protocol):
    """Writes one answer: any number of `write`, then `finish`."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Write rows."""
        ...

    def finish(self) -> None:
        """Write what stands after the rows of a complete answer."""
        ...


def of_suffix(path: Path | None) -> Format | None:
    """Give the format that a file name means (`.csv`, `.json`, `.arrow`, `.parquet`), None for any other."""
    suffixes = {f".{each}": each for each in Format if each is not Format.TABLE}
    return None if path is None else suffixes.get(path.suffix.lower())


def writer(form: Format, stream: BinaryIO, result: Result) -> Writer:
    """Begin to write an answer in a format.

    Raises:
        InvalidRequest: the format cannot hold the answer's columns.
    """
    # Loaded here: pyarrow takes longer to load than most commands take to run.
    match form:
        case Format.TABLE:
            from penstock.cli.formats.table import TableWriter  # noqa: PLC0415 - see above

            return TableWriter(stream, result)
        case Format.CSV:
            from penstock.cli.formats.separated import CsvWriter  # noqa: PLC0415 - see above

            return CsvWriter(stream, result.schema)
        case Format.JSON:
            from penstock.cli.formats.json_rows import JsonWriter  # noqa: PLC0415 - see above

            return JsonWriter(stream, result.schema)
        case Format.ARROW:
            from penstock.cli.formats.columnar import ArrowWriter  # noqa: PLC0415 - see above

            return ArrowWriter(stream, result.schema)
        case Format.PARQUET:
            from penstock.cli.formats.columnar import ParquetWriter  # noqa: PLC0415 - see above

            return ParquetWriter(stream, result.schema)
