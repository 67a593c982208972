"""CSV: a heading, text in quotes, numbers bare; NULL is nothing at all, the empty text is `""`."""

from __future__ import annotations

from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv

from penstock.cli.formats.values import is_plain, texts


class CsvWriter:
    """Writes CSV in UTF-8."""

    def __init__(self, stream: BinaryIO, schema: pa.Schema) -> None:
        """Write the heading of the answer's schema to a stream."""
        fields = [pa.field(each.name, each.type if is_plain(each.type) else pa.string()) for each in schema]
        self._schema = pa.schema(fields)
        self._sink = pyarrow.csv.CSVWriter(stream, self._schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Write rows."""
        columns = [
            column if is_plain(column.type) else pa.array(texts(column), pa.string()) for column in batch.columns
        ]
        self._sink.write(pa.record_batch(columns, schema=self._schema))

    def finish(self) -> None:
        """Write what is still buffered."""
        self._sink.close()
