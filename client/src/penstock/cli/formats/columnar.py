"""Arrow IPC stream and Parquet: types and values exactly as they arrived."""

from __future__ import annotations

from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet


class ArrowWriter:
    """Writes an Arrow IPC stream; without its end-of-stream mark it is not complete."""

    def __init__(self, stream: BinaryIO, schema: pa.Schema) -> None:
        """Begin on a stream, with the answer's schema."""
        self._sink = pa.ipc.new_stream(stream, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Write rows."""
        self._sink.write_batch(batch)

    def finish(self) -> None:
        """Write the end-of-stream mark."""
        self._sink.close()


class ParquetWriter:
    """Writes a Parquet file; without its footer it is not complete."""

    def __init__(self, stream: BinaryIO, schema: pa.Schema) -> None:
        """Begin on a stream, with the answer's schema."""
        self._sink = pyarrow.parquet.ParquetWriter(stream, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Write rows as a row group."""
        self._sink.write_batch(batch)

    def finish(self) -> None:
        """Write the footer."""
        self._sink.close()
