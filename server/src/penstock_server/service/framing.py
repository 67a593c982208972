"""ExecuteQueryResponse by hand: a batch is copied once, never through a protobuf object.

Source: https://protobuf.dev/programming-guides/encoding; `test_framing` compares with the generated class.
"""

from __future__ import annotations

_RECORD_BATCH_TAG = b"\x12"  # field 2, length-delimited


def record_batch_message(batch: bytes) -> bytes:
    """Give the serialized message that holds one record batch."""
    return b"".join((_RECORD_BATCH_TAG, _varint(len(batch)), batch))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
