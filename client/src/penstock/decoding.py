"""From the parts of an answer to record batches, with proof at the end that none is missing."""

from __future__ import annotations

from datetime import timedelta
from types import ModuleType
from typing import TYPE_CHECKING

from penstock import extras
from penstock.errors import Unavailable
from penstock.v1 import query_service_pb2

if TYPE_CHECKING:
    import pyarrow as pa


def arrow() -> ModuleType:
    """Give the module pyarrow.

    Raises:
        MissingExtra: it is not installed.
    """
    return extras.load("pyarrow", extra="arrow", purpose="reading an answer")


class AnswerDecoder:
    """Decodes one answer: a header, any number of batches, a trailer.

    Batches share the memory of the messages that they came in; nothing is copied.
    """

    __slots__ = ("_batches", "_ipc", "_pyarrow", "_rows", "schema")

    def __init__(self, header: query_service_pb2.QueryHeader) -> None:
        """Take the header.

        Raises:
            MissingExtra: pyarrow is not installed.
            Unavailable: the header holds no schema.
        """
        self._pyarrow = arrow()
        self._ipc = extras.load("pyarrow.ipc", extra="arrow", purpose="reading an answer")
        self._batches = 0
        self._rows = 0
        try:
            self.schema: pa.Schema = self._ipc.read_schema(self._pyarrow.py_buffer(header.schema))
        except (self._pyarrow.ArrowException, EOFError, OSError) as error:
            raise unreadable() from error

    def batch(self, message: bytes) -> pa.RecordBatch:
        """Decode one part.

        Raises:
            Unavailable: it is no record batch of the answer's schema.
        """
        try:
            batch = self._ipc.read_record_batch(self._pyarrow.py_buffer(message), self.schema)
            batch.validate()
        except (self._pyarrow.ArrowException, EOFError, OSError) as error:
            raise unreadable() from error
        self._batches += 1
        self._rows += batch.num_rows
        return batch

    def finish(self, trailer: query_service_pb2.QueryTrailer) -> tuple[int, timedelta]:
        """Compare the counts of the trailer with what came; gives rows and engine time.

        Raises:
            Unavailable: rows or batches are missing, or there are too many.
        """
        # SECURITY: a short answer is a wrong one, whoever cut it.
        if (trailer.row_count, trailer.batch_count) != (self._rows, self._batches):
            raise incomplete()
        return self._rows, trailer.engine_time.ToTimedelta()


def incomplete() -> Unavailable:
    """Give the error of an answer that ended early."""
    message = "the answer ended before it was complete"
    return Unavailable(message, reason="ANSWER_INCOMPLETE", hint="run the statement again")


def unreadable() -> Unavailable:
    """Give the error of an answer whose parts are not what the contract says."""
    hint = "compare the versions of client and server"
    return Unavailable("the answer cannot be decoded", reason="ANSWER_UNREADABLE", hint=hint)
