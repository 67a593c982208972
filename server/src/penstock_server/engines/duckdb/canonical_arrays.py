"""Arrays whose buffers are a function of their values: the parts of the canonical stream.

DuckDB leaves the slots of NULLs as the memory was, and keeps dictionaries with entries that no row uses. Here every
slot under a NULL is zeroed at every level of nesting, validity is rebuilt, dictionaries are decoded, and a buffer ends
where its last value does, since what lies behind it would be sent as padding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from penstock_server.errors import QueryError, Reason

HUGEINT_PRECISION = 38


def canonical_type(kind: pa.DataType) -> pa.DataType:
    """Give the type without dictionaries, at every level."""
    if pa.types.is_dictionary(kind):
        return canonical_type(kind.value_type)
    if pa.types.is_struct(kind):
        return pa.struct([canonical_field(kind.field(index)) for index in range(kind.num_fields)])
    if pa.types.is_map(kind):
        return pa.map_(canonical_field(kind.key_field), canonical_field(kind.item_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(canonical_field(kind.value_field), kind.list_size)
    if pa.types.is_list(kind):
        return pa.list_(canonical_field(kind.value_field))
    if pa.types.is_large_list(kind):
        return pa.large_list(canonical_field(kind.value_field))
    if pa.types.is_union(kind):
        fields = [canonical_field(kind.field(index)) for index in range(kind.num_fields)]
        return pa.sparse_union(fields, kind.type_codes)
    return kind


def canonical_field(field: pa.Field) -> pa.Field:
    """Give the field without dictionaries, at every level."""
    return field.with_type(canonical_type(field.type))


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
    return _flags(array.buffers()[0], array.offset, len(array))


def _flags(bitmap: pa.Buffer, offset: int, length: int) -> NDArray[Any]:
    """Give the bits of a bitmap as booleans.

    Arrow's own `to_numpy` looks for pandas first, which a sealed process can only fail to find.
    """
    if length == 0:
        return np.zeros(0, dtype=bool)
    bits = np.frombuffer(bitmap, dtype=np.uint8)
    return np.unpackbits(bits, count=offset + length, bitorder="little")[offset:].view(bool)


def _bits(flags: NDArray[Any]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little").tobytes())


def _boolean(array: pa.Array) -> pa.Array:
    valid = _valid(array)
    values = _flags(array.buffers()[1], array.offset, len(array))
    if valid is not None:
        values &= valid
    return pa.Array.from_buffers(
        pa.bool_(),
        len(array),
        [None if valid is None else _bits(valid), _bits(values)],
        null_count=array.null_count,
    )


def _fixed_width(array: pa.Array) -> pa.Array:
    width = array.type.bit_width // 8
    if width * 8 != array.type.bit_width or width == 0:
        raise TypeError(f"no canonical form of {array.type}")
    valid = _valid(array)
    data = _exactly(array.buffers()[1], array.offset * width, len(array) * width)
    if pa.types.is_decimal(array.type):
        _check_decimal(data, array.type, valid)
    if valid is None:
        return pa.Array.from_buffers(array.type, len(array), [None, data], null_count=0)
    rows = np.frombuffer(data, dtype=np.uint8).reshape(len(array), width).copy()
    rows[~valid] = 0
    return pa.Array.from_buffers(
        array.type, len(array), [_bits(valid), pa.py_buffer(rows)], null_count=array.null_count
    )


def _exactly(buffer: pa.Buffer | None, start: int, length: int) -> pa.Buffer:
    """Give a part of a buffer, to the byte: what is sent is padded with zeros only behind a buffer's end."""
    return pa.py_buffer(b"") if buffer is None or length == 0 else buffer.slice(start, length)


def _check_decimal(data: pa.Buffer, kind: pa.Decimal128Type, valid: NDArray[Any] | None) -> None:
    """Refuse numbers past the precision. DuckDB: a HUGEINT comes as DECIMAL(38,0), which cannot hold the largest."""
    if kind.precision < HUGEINT_PRECISION:
        return
    low, high = np.frombuffer(data, dtype=np.uint64)[::2], np.frombuffer(data, dtype=np.int64)[1::2]
    (least_high, least_low), (most_high, most_low) = divmod(-(10**38), 2**64), divmod(10**38, 2**64)
    large = (high > most_high) | ((high == most_high) & (low >= most_low))
    large |= (high < least_high) | ((high == least_high) & (low <= least_low))
    if valid is not None:
        large &= valid
    if large.any():
        raise QueryError(
            Reason.SQL_EXECUTION,
            "a number of the result has more than 38 digits, which an answer cannot hold",
            hint="cast it to VARCHAR or DOUBLE",
        )


def _bytes(array: pa.Array) -> pa.Array:
    valid = _valid(array)
    offsets = _offsets(array)
    lengths = np.diff(offsets)
    if valid is None or not lengths[~valid].any():
        # Nothing stands under a NULL, so all bytes between the first and the last offset are of values.
        rebuilt, data = (
            offsets - offsets[0],
            _exactly(array.buffers()[2], int(offsets[0]), int(offsets[-1] - offsets[0])),
        )
    else:
        lengths[~valid] = 0
        rebuilt = np.concatenate([np.zeros(1, offsets.dtype), np.cumsum(lengths, dtype=offsets.dtype)])
        dense = array.take(pa.array(np.flatnonzero(valid)))
        data = _exactly(dense.buffers()[2], 0, int(rebuilt[-1]))
    return pa.Array.from_buffers(
        array.type,
        len(array),
        [None if valid is None else _bits(valid), pa.py_buffer(rebuilt), data],
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
    typed = [canonical_field(field) for field in fields]
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
        values = _kept(values, np.repeat(valid, size))
    return pa.Array.from_buffers(
        canonical_type(array.type),
        len(array),
        [None if valid is None else _bits(valid)],
        null_count=array.null_count,
        children=[canonical_array(values)],
    )


def _kept(array: pa.Array, keep: NDArray[Any]) -> pa.Array:
    """Give the array with NULL wherever it is not to be kept."""
    return array.take(pa.array(np.arange(len(array)), mask=~keep))


def _union(array: pa.UnionArray) -> pa.Array:
    codes = np.asarray(array.type_codes.to_numpy())
    children = []
    for index, code in enumerate(array.type.type_codes):
        children.append(canonical_array(_kept(array.field(index), codes == code)))
    return pa.UnionArray.from_sparse(
        pa.array(codes, pa.int8()),
        children,
        [array.type.field(index).name for index in range(array.type.num_fields)],
        array.type.type_codes,
    )
