"""The rules lister: turns the batches of a rules query into lines of CSV, and ends.

The front never decodes Arrow, and what made the batches ran over data that anybody may have written: so this child is
as sealed as the worker that made them, and what it says is text.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Final

import pyarrow as pa

from penstock_server.engines.duckdb import errors, worker
from penstock_server.engines.duckdb.conversation import Conversation
from penstock_server.engines.duckdb.wire.encoding import encode
from penstock_server.engines.duckdb.wire.frames import BrokenConversation, Frame, FrameKind, FrameStream
from penstock_server.engines.duckdb.wire.messages import ListedColumn, ListReply
from penstock_server.errors import PenstockError, QueryError, Reason
from penstock_server.model.schema import TypeFamily

_BREAKS: Final = ("\n", "\r", "\0")
_COMMENT: Final = "note:"
"""How the names of comments begin, where the entry allows them; else the column is refused."""


def serve(stream: FrameStream) -> None:
    """List one result on this conversation, then return: the process ends."""
    conversation = Conversation(stream)
    try:
        worker.confined(conversation)
        conversation.opened()
        try:
            _list(stream)
        except BrokenConversation:
            raise
        except PenstockError as error:
            conversation.fail(error)
        except Exception as error:  # noqa: BLE001 - the edge of the engine: every other fault is one of ours
            conversation.fail(errors.internal(type(error).__name__))
    except BrokenConversation:
        return  # the front has all that it asked for, or does not keep to the protocol


def _list(stream: FrameStream) -> None:
    schema = pa.ipc.read_schema(pa.py_buffer(_expected(stream, FrameKind.LIST).payload))
    columns = tuple(ListedColumn(name=field.name, family=_family(field.type)) for field in schema)
    stream.send(FrameKind.LISTED, encode(ListReply(columns=columns)))
    while True:
        batch = pa.ipc.read_record_batch(pa.py_buffer(_expected(stream, FrameKind.BATCH).payload), schema)
        lines = _lines(batch, columns)
        stream.send(FrameKind.LINES, lines, rows=batch.num_rows)


def _expected(stream: FrameStream, kind: FrameKind) -> Frame:
    frame = stream.receive()
    if frame is None:
        raise BrokenConversation("the front is gone")
    if frame.kind is not kind:
        raise BrokenConversation(f"{frame.kind.name} where {kind.name} is due")
    return frame


def _family(kind: pa.DataType) -> TypeFamily:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return TypeFamily.TEXT
    if pa.types.is_boolean(kind):
        return TypeFamily.BOOLEAN
    if pa.types.is_integer(kind):
        return TypeFamily.INTEGER
    if pa.types.is_decimal(kind):
        return TypeFamily.DECIMAL
    if pa.types.is_date32(kind):
        return TypeFamily.DATE
    return TypeFamily.OTHER


def _lines(batch: pa.RecordBatch, columns: tuple[ListedColumn, ...]) -> bytes:
    """Give one line a row, each with its end; NULL is an empty cell."""
    listed: list[list[str]] = []
    for column, array in zip(columns, batch.columns, strict=True):
        written = _WRITTEN.get(column.family)
        _require_no_empty_text(column, array)
        # The front has refused the result already where a column of it has no form here.
        listed.append(["" if value is None or written is None else written(value) for value in array.to_pylist()])
    return "".join(",".join(map(_cell, row)) + "\n" for row in zip(*listed, strict=True)).encode()


def _require_no_empty_text(column: ListedColumn, array: pa.Array) -> None:
    """Refuse texts of no characters, but in comments.

    SECURITY: a cell would be empty by them, and an empty field restricts nothing: only NULL says that this is meant.
    """
    if column.family is TypeFamily.TEXT and not column.name.startswith(_COMMENT) and "" in array.to_pylist():
        raise QueryError(
            Reason.SQL_EXECUTION,
            "a value of the result is a text without a character",
            hint="leave such rows out; where no restriction is meant, give NULL, as `nullif(field, '')` does",
        )


_WRITTEN: Final[dict[TypeFamily, Callable[[object], str]]] = {
    TypeFamily.TEXT: str,
    TypeFamily.INTEGER: str,
    TypeFamily.BOOLEAN: lambda value: "true" if value else "false",
    TypeFamily.DECIMAL: lambda value: format(value, "f") if isinstance(value, Decimal) else "",
    TypeFamily.DATE: lambda value: value.isoformat() if isinstance(value, date) else "",
}


def _cell(text: str) -> str:
    if any(character in text for character in _BREAKS):
        # SECURITY: a line break in a value would begin a row that the query did not give, with an identity of its own.
        raise QueryError(
            Reason.SQL_EXECUTION,
            "a value of the result holds a line break or a NUL character",
            hint="leave such rows out, or take the character out of the value",
        )
    return '"' + text.replace('"', '""') + '"' if '"' in text or "," in text else text
