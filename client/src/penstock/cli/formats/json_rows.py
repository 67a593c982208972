"""JSON: an array of objects, a row a line."""

from __future__ import annotations

import json
from typing import BinaryIO

import pyarrow as pa

from penstock.cli.formats.values import json_text
from penstock.errors import invalid


class JsonWriter:
    """Writes JSON in UTF-8; an answer that is not complete leaves no valid document."""

    def __init__(self, stream: BinaryIO, schema: pa.Schema) -> None:
        """Take where to write, and the answer's schema.

        Raises:
            InvalidRequest: two columns have one name, so that an object would lose one of them.
        """
        if len(set(schema.names)) < len(schema.names):
            raise invalid("--format", "`json` needs columns with different names", hint="name them with `as`")
        self._stream = stream
        self._keys = [json.dumps(name, ensure_ascii=False) for name in schema.names]
        self._separator = b"[\n"

    def write(self, batch: pa.RecordBatch) -> None:
        """Write rows."""
        columns = [column.to_pylist() for column in batch.columns]
        for row in zip(*columns, strict=True):
            members = (f"{key}: {json_text(value)}" for key, value in zip(self._keys, row, strict=True))
            self._stream.write(self._separator + f"  {{{', '.join(members)}}}".encode())
            self._separator = b",\n"

    def finish(self) -> None:
        """Close the array."""
        self._stream.write(b"[]\n" if self._separator == b"[\n" else b"\n]\n")
