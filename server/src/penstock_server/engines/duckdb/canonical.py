"""The canonical stream: rows as Arrow IPC bytes that are a function of the rows alone.

DuckDB leaves the slots of NULLs as the memory was, keeps dictionaries with entries that no row uses, and cuts batches
where its storage does. Here every NULL slot is zeroed at every level of nesting, validity is rebuilt, dictionaries are
decoded, and rows are cut by count and size alone. It is what crosses from a source reader to a sealed worker, and what
leaves a sealed worker.

SECURITY: without it, one query returned thousands of raw hidden values in the NULL slots of its answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from penstock_server.errors import LimitExceeded, Reason

FRAME_ROWS = 65_536
"""Rows are cut at multiples of this; a frame is then halved until each piece is small enough."""

PIECE_BYTES = 1024 * 1024
"""Size at which a piece is not halved further."""

MESSAGE_BYTES = 2 * 1024 * 1024
"""No message for a caller is larger: one row that is, is an error."""


def canonical_type(kind: pa.DataType) -> pa.DataType:
    """Give the type without dictionaries, at every level."""
    if pa.types.is_dictionary(kind):
        return canonical_type(kind.value_type)
    if pa.types.is_struct(kind):
        return pa.struct([_canonical_field(kind.field(index)) for index in range(kind.num_fields)])
    if pa.types.is_map(kind):
        return pa.map_(_canonical_field(kind.key_field), _canonical_field(kind.item_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_canonical_field(kind.value_field), kind.list_size)
    if pa.types.is_list(kind):
        return pa.list_(_canonical_field(kind.value_field))
    if pa.types.is_large_list(kind):
        return pa.large_list(_canonical_field(kind.value_field))
    if pa.types.is_union(kind):
        fields = [_canonical_field(kind.field(index)) for index in range(kind.num_fields)]
        return pa.sparse_union(fields, kind.type_codes)
    return kind


def canonical_schema(schema: pa.Schema) -> pa.Schema:
    """Give the schema of the canonical stream of rows of this schema."""
    return pa.schema([_canonical_field(field) for field in schema])


def _canonical_field(field: pa.Field) -> pa.Field:
    return field.with_type(canonical_type(field.type))


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


def _pieces(batch: pa.RecordBatch, message_bytes: int | None) -> Iterator[bytes]:
    pending = [batch]
    while pending:
        piece = pending.pop()
        if pa.ipc.get_record_batch_size(piece) > PIECE_BYTES and piece.num_rows > 1:
            half = (piece.num_rows + 1) // 2
            pending += [piece.slice(half), piece.slice(0, half)]
            continue
        message = piece.serialize().to_pybytes()
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


def canonical_array(array: pa.Array) -> pa.Array:
    """Give an equal array whose buffers hold nothing but its values."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return pa.ExtensionArray.from_storage(kind, canonical_array(array.storage))
    if pa.types.is_dictionary(kind):
        return canonical_array(array.dictionary_decode())
    if pa.types.is_null(kind):
        return pa.nulls(len(array))
    if pa.types.is_struct(kind):
        return _struct(array)
    if pa.types.is_union(kind):
        return _union(array)
    if pa.types.is_map(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _list(array)
    if pa.types.is_fixed_size_list(kind):
        return _fixed_list(array)
    if pa.types.is_boolean(kind):
        return _boolean(array)
    if _is_bytes(kind):
        return _bytes(array)
    return _fixed_width(array)


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_large_binary(kind)
    )


def _valid(array: pa.Array) -> NDArray[Any] | None:
    """Give which slots hold a value, or None where all do."""
    if array.null_count == 0:
        return None
    valid: NDArray[Any] = array.is_valid().to_numpy(zero_copy_only=False)
    return valid


def _bits(flags: NDArray[Any]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little").tobytes())


def _boolean(array: pa.Array) -> pa.Array:
    valid = _valid(array)
    values: NDArray[Any] = array.fill_null(False).to_numpy(zero_copy_only=False)
    return pa.Array.from_buffers(
        pa.bool_(),
        len(array),
        [None if valid is None else _bits(valid), _bits(values)],
        null_count=array.null_count,
    )


def _fixed_width(array: pa.Array) -> pa.Array:
    valid = _valid(array)
    if valid is None:
        return array
    width = array.type.bit_width // 8
    if width * 8 != array.type.bit_width or width == 0:
        raise TypeError(f"no canonical form of {array.type}")
    data = np.frombuffer(array.buffers()[1], dtype=np.uint8, count=(array.offset + len(array)) * width)
    rows = data[array.offset * width :].reshape(len(array), width).copy()
    rows[~valid] = 0
    return pa.Array.from_buffers(
        array.type, len(array), [_bits(valid), pa.py_buffer(rows)], null_count=array.null_count
    )


def _bytes(array: pa.Array) -> pa.Array:
    valid = _valid(array)
    if valid is None:
        return array
    offsets = _offsets(array)
    lengths = np.diff(offsets)
    if not lengths[~valid].any():
        # Nothing stands under a NULL, so the bytes between the first and the last offset are all of values.
        buffers = array.buffers()
        data = (
            pa.py_buffer(b"")
            if buffers[2] is None
            else buffers[2].slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
        )
        return pa.Array.from_buffers(
            array.type,
            len(array),
            [_bits(valid), pa.py_buffer(offsets - offsets[0]), data],
            null_count=array.null_count,
        )
    indexes = pa.array(np.flatnonzero(valid))
    dense = array.take(indexes)
    lengths[~valid] = 0
    rebuilt = np.concatenate([np.zeros(1, offsets.dtype), np.cumsum(lengths, dtype=offsets.dtype)])
    values = dense.buffers()[2]
    return pa.Array.from_buffers(
        array.type,
        len(array),
        [_bits(valid), pa.py_buffer(rebuilt), values if values is not None else pa.py_buffer(b"")],
        null_count=array.null_count,
    )


def _offsets(array: pa.Array) -> NDArray[Any]:
    kind = array.type
    wide = pa.types.is_large_string(kind) or pa.types.is_large_binary(kind) or pa.types.is_large_list(kind)
    dtype = np.dtype(np.int64 if wide else np.int32)
    buffer = array.buffers()[1]
    if buffer is None or len(array) == 0:
        return np.zeros(len(array) + 1, dtype)
    offsets: NDArray[Any] = np.frombuffer(buffer, dtype=dtype, count=array.offset + len(array) + 1)[array.offset :]
    return offsets


def _struct(array: pa.StructArray) -> pa.Array:
    valid = _valid(array)
    fields = [array.type.field(index) for index in range(array.type.num_fields)]
    # flatten() gives the children under the struct's own validity, so a field under a NULL struct is NULL.
    children = [canonical_array(child) for child in array.flatten()]
    typed = [_canonical_field(field) for field in fields]
    return pa.Array.from_buffers(
        pa.struct(typed),
        len(array),
        [None if valid is None else _bits(valid)],
        null_count=array.null_count,
        children=children,
    )


def _list(array: pa.Array) -> pa.Array:
    valid = _valid(array)
    offsets = _offsets(array)
    lengths = np.diff(offsets)
    values = array.values if not pa.types.is_map(array.type) else _entries(array)
    if valid is None or not lengths[~valid].any():
        inner = values.slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
        rebuilt = offsets - offsets[0]
    else:
        lengths[~valid] = 0
        inner = values.take(pa.array(_ranges(offsets[:-1], lengths)))
        rebuilt = np.concatenate([np.zeros(1, offsets.dtype), np.cumsum(lengths, dtype=offsets.dtype)])
    return pa.Array.from_buffers(
        canonical_type(array.type),
        len(array),
        [None if valid is None else _bits(valid), pa.py_buffer(rebuilt)],
        null_count=array.null_count,
        children=[canonical_array(inner)],
    )


def _entries(array: pa.MapArray) -> pa.Array:
    fields = [array.type.key_field, array.type.item_field]
    return pa.StructArray.from_arrays([array.keys, array.items], fields=fields)


def _ranges(starts: NDArray[Any], lengths: NDArray[Any]) -> NDArray[Any]:
    """Give `start, start + 1, ...` of each range, one after the other."""
    total = int(lengths.sum())
    ends = np.cumsum(lengths)
    positions: NDArray[Any] = np.arange(total) + np.repeat(starts - (ends - lengths), lengths)
    return positions


def _fixed_list(array: pa.FixedSizeListArray) -> pa.Array:
    valid = _valid(array)
    size = array.type.list_size
    values = array.values.slice(array.offset * size, len(array) * size)
    if valid is not None:
        values = pc.if_else(pa.array(np.repeat(valid, size)), values, pa.scalar(None, values.type))
    return pa.Array.from_buffers(
        canonical_type(array.type),
        len(array),
        [None if valid is None else _bits(valid)],
        null_count=array.null_count,
        children=[canonical_array(values)],
    )


def _union(array: pa.UnionArray) -> pa.Array:
    codes = np.asarray(array.type_codes.to_numpy())
    children = []
    for index, code in enumerate(array.type.type_codes):
        child = array.field(index)
        kept = pc.if_else(pa.array(codes == code), child, pa.scalar(None, child.type))
        children.append(canonical_array(kept))
    return pa.UnionArray.from_sparse(
        pa.array(codes, pa.int8()),
        children,
        [array.type.field(index).name for index in range(array.type.num_fields)],
        array.type.type_codes,
    )
