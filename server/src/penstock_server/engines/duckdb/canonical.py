"""The canonical stream: rows as Arrow IPC bytes that are a function of the rows alone.

DuckDB leaves the slots of NULLs as the memory was, keeps dictionaries with entries that no row uses, and cuts batches
where its storage does. Here every NULL slot is zeroed at every level of nesting, validity is rebuilt, dictionaries are
decoded, and rows are cut by count and size alone. It is what crosses from a source reader to a sealed worker, and what
leaves a sealed worker.

SECURITY: without it, one query returned thousands of raw hidden values in the NULL slots of its answer.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from penstock_server.engines.duckdb.canonical_arrays import canonical_array, canonical_field
from penstock_server.errors import LimitExceeded, Reason

FRAME_ROWS = 8192
"""Rows are cut at multiples of this; a frame is then halved until each piece is small enough.

DuckDB: a batch holds less than 2 GiB of text in a column, so rows may have 256 KiB of it on average (2.0.0)."""

PIECE_BYTES = 1024 * 1024
"""Size at which a piece is not halved further."""

MESSAGE_BYTES = 2 * 1024 * 1024
"""No message for a caller is larger: one row that is, is an error."""


def canonical_schema(schema: pa.Schema) -> pa.Schema:
    """Give the schema of the canonical stream of rows of this schema."""
    return pa.schema([canonical_field(field) for field in schema])


def batches(reader: pa.RecordBatchReader, *, message_bytes: int | None) -> Iterator[bytes]:
    """Give the rows as encapsulated IPC messages of about 1 MiB; the schema message is not among them.

    `message_bytes` None = a single row may be of any size (from a reader to its worker).

    Raises:
        LimitExceeded: one row is larger than `message_bytes`.
        duckdb.Error: what the driver says while the rows are computed.
    """
    schema = canonical_schema(reader.schema)
    for frame in _frames(reader):
        yield from _pieces(canonical_batch(frame, schema), message_bytes)


def _frames(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Cut the rows at multiples of FRAME_ROWS, wherever the engine cut them."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in reader:
        start = 0
        while batch.num_rows - start >= FRAME_ROWS - rows:
            held.append(batch.slice(start, FRAME_ROWS - rows))
            start += FRAME_ROWS - rows
            yield _joined(held)
            held, rows = [], 0
        if start < batch.num_rows:
            held.append(batch.slice(start))
            rows += batch.num_rows - start
    if held:
        yield _joined(held)


def _joined(parts: list[pa.RecordBatch]) -> pa.RecordBatch:
    return parts[0] if len(parts) == 1 else pa.concat_batches(parts)


def _pieces(frame: pa.RecordBatch, message_bytes: int | None) -> Iterator[bytes]:
    pending = [frame]
    while pending:
        piece = pending.pop()
        if pa.ipc.get_record_batch_size(piece) > PIECE_BYTES and piece.num_rows > 1:
            half = (piece.num_rows + 1) // 2
            pending += [piece.slice(half), piece.slice(0, half)]
            continue
        # A slice shares its buffers with the rows around it.
        alone = piece if piece.num_rows == frame.num_rows else canonical_batch(piece, piece.schema)
        message = alone.serialize().to_pybytes()
        if message_bytes is not None and len(message) > message_bytes:
            raise LimitExceeded(
                Reason.ROW_LIMIT,
                "a row of the result is larger than a message may be",
                limit="row_bytes",
                value=str(message_bytes),
                hint="leave the large column out, or cut it with `substring`",
            )
        yield message


def canonical_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Give the same rows with every byte of their buffers determined by them; `schema` is the canonical one."""
    columns = [canonical_array(column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
