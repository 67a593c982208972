"""The answer of a statement, read as it arrives."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import grpc
import grpc.aio

from penstock import extras, statuses, unpacking
from penstock.calls import told_apart
from penstock.decisions import AppliedPolicy
from penstock.decoding import AnswerDecoder, arrow, incomplete, unreadable
from penstock.errors import PenstockError, Unavailable
from penstock.v1 import query_service_pb2

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Progress = Callable[[str], None]
"""Is told the name of a table of which the server makes something to keep, while a statement waits for it."""

GRACE = timedelta(seconds=30)
"""How much longer than its own timeout a statement may keep silent: it may have waited in the queue."""


class AnswerStream(Protocol):
    """The call that brings the parts of an answer."""

    async def read(self) -> object:
        """Give the next part, or `grpc.aio.EOF`."""
        ...

    def cancel(self) -> bool:
        """End the call at the server too."""
        ...


class Result:
    """The answer of one statement: a schema, how the policy shaped it, and batches that are still arriving.

    Iterating gives each record batch once. `to_arrow`, `to_pandas` and `rows` read the whole answer and keep it, so
    they may be called in turn; after iterating it is too late for them. An answer that ends early is an error, never
    a short table. Leaving a `with` block before the end cancels the statement at the server.
    """

    _state = "failed"

    def __init__(
        self,
        stream: AnswerStream,
        header: query_service_pb2.QueryHeader,
        *,
        silence: timedelta | None,
    ) -> None:
        """Take a stream of which the header has been read. Made by `Broker.query`, not by callers."""
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._silence = silence
        self._decoder = AnswerDecoder(header)
        self._table: pa.Table | None = None
        self.schema: pa.Schema = self._decoder.schema
        self.explanation: tuple[AppliedPolicy, ...] = tuple(
            unpacking.applied_policy(each) for each in header.applied_policies
        )
        self.policy_version: str = header.policy_version
        self.query_id: str = header.query_id
        self.row_count: int | None = None
        self.engine_time: timedelta | None = None
        self._state = "unread"

    def __del__(self) -> None:
        if self._state in {"unread", "partly read"}:
            # An answer that nobody reads would hold its worker at the server until that gives up.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stream.cancel)

    def __repr__(self) -> str:
        return f"Result(query_id={self.query_id!r}, state={self._state!r})"

    async def next_batch(self) -> pa.RecordBatch | None:
        """Give the next record batch, or None once the answer is complete.

        Raises:
            PenstockError: the statement failed, or the answer ended early; no later call gives anything.
        """
        if self._state == "complete":
            return None
        if self._state not in {"unread", "partly read"}:
            raise PenstockError(f"the answer cannot be read any more: it is {self._state}", reason="CANCELLED")
        self._state = "partly read"
        try:
            return await self._advance()
        except BaseException:
            # SECURITY: after any failure the rest of the answer is gone; what was read must not pass for all of it.
            self._end("failed")
            raise

    async def __aiter__(self) -> AsyncIterator[pa.RecordBatch]:
        while (batch := await self.next_batch()) is not None:
            yield batch

    async def to_arrow(self) -> pa.Table:
        """Read the whole answer into a `pyarrow.Table`."""
        if self._table is None:
            if self._state != "unread":
                raise PenstockError(
                    f"the answer can be read once, and it is {self._state}",
                    reason="ANSWER_CONSUMED",
                    hint="call `to_arrow` before iterating, and use its table",
                )
            batches = [batch async for batch in self]
            self._table = arrow().Table.from_batches(batches, schema=self.schema)
        return self._table

    async def to_pandas(self) -> pd.DataFrame:
        """Read the whole answer into a `pandas.DataFrame`; needs the extra `pandas`."""
        extras.load("pandas", extra="pandas", purpose="`to_pandas`")
        return (await self.to_arrow()).to_pandas()

    async def rows(self) -> list[tuple[Any, ...]]:
        """Read the whole answer into tuples of Python values, one a row, in the order of `schema`."""
        table = await self.to_arrow()
        if not table.num_columns:
            return [()] * table.num_rows
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def cancel(self) -> None:
        """End the statement at the server. Does nothing once the answer is complete."""
        if self._state in {"unread", "partly read"}:
            self._end("cancelled")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    async def _advance(self) -> pa.RecordBatch | None:
        part = await read_part(self._stream, silence=self._silence)
        if part is None:
            # SECURITY: the status says OK, but the trailer alone proves that the answer is whole.
            raise incomplete()
        match part.WhichOneof("part"):
            case "record_batch":
                return self._decoder.batch(part.record_batch)
            case "trailer":
                counts = self._decoder.finish(part.trailer)
                if await read_part(self._stream, silence=self._silence) is not None:
                    raise unreadable()
                self.row_count, self.engine_time = counts
                self._state = "complete"
                return None
            case _:
                raise unreadable()

    def _end(self, state: str) -> None:
        if self._state != "cancelled":
            self._state = state
        self._stream.cancel()


async def begin(stream: AnswerStream, *, silence: timedelta | None, progress: Progress | None) -> Result:
    """Wait for the header of an answer; `progress` is told what is done until it comes.

    Raises:
        PenstockError: the statement was refused, or the answer does not begin with a header.
    """
    try:
        return Result(stream, await _header(stream, silence, progress), silence=silence)
    except BaseException:
        stream.cancel()
        raise


async def _header(
    stream: AnswerStream, silence: timedelta | None, progress: Progress | None
) -> query_service_pb2.QueryHeader:
    part = await read_part(stream, silence=silence)
    while part is not None and part.WhichOneof("part") == "progress":
        if progress is not None:
            progress(part.progress.table)
        part = await read_part(stream, silence=silence)
    if part is None:
        raise incomplete()
    if part.WhichOneof("part") != "header":
        raise unreadable()
    return part.header


async def read_part(
    stream: AnswerStream, *, silence: timedelta | None
) -> query_service_pb2.ExecuteQueryResponse | None:
    """Read one part of an answer, or None where the stream ended with the status OK.

    Raises:
        PenstockError: the call ended with another status, or kept silent for longer than `silence`.
    """
    try:
        async with asyncio.timeout(None if silence is None else silence.total_seconds()):
            part = await stream.read()
    except TimeoutError as error:
        message = "the server did not answer in time"
        raise Unavailable(message, reason="DEADLINE_EXCEEDED", hint="run the statement again") from error
    except asyncio.CancelledError as error:
        raise told_apart(error) from None
    except grpc.aio.AioRpcError as error:
        raise statuses.from_call(error) from error
    if part is grpc.aio.EOF:
        return None
    if not isinstance(part, query_service_pb2.ExecuteQueryResponse):
        raise unreadable()
    return part
