"""One channel and the calls over it: bearer, deadline, errors. Used by `penstock.aio` alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol, TypeVar

import grpc
import grpc.aio

from penstock import statuses
from penstock.bearer import Bearer
from penstock.endpoint import Transport
from penstock.errors import PenstockError, invalid

Request_contra = TypeVar("Request_contra", contravariant=True)
Response_co = TypeVar("Response_co", covariant=True)
Request = TypeVar("Request")
Response = TypeVar("Response")

Headers = tuple[tuple[str, str], ...]


class UnaryMethod(Protocol[Request_contra, Response_co]):
    """A method of a generated stub."""

    def __call__(
        self, request: Request_contra, *, timeout: float | None = None, metadata: Headers | None = None
    ) -> Awaitable[Response_co]:
        """Begin the call."""
        ...


class Calls:
    """A channel that opens at its first use and belongs to the event loop of that moment."""

    def __init__(self, transport: Transport, bearer: Bearer, *, timeout: timedelta) -> None:
        """Take the way to the server. `timeout` bounds every call that has one answer."""
        self.transport = transport
        self._bearer = bearer
        self._timeout = timeout.total_seconds()
        self._channel: grpc.aio.Channel | None = None
        self._closed = False

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel, opened if need be.

        Raises:
            PenstockError: it has been closed.
        """
        if self._closed:
            raise PenstockError("the connection has been closed", reason="CLOSED")
        if self._channel is None:
            self._channel = self.transport.open()
        return self._channel

    async def headers(self) -> Headers:
        """Give the headers that authenticate a call."""
        return await self._bearer.header()

    async def unary(
        self,
        stub: Callable[[grpc.aio.Channel], UnaryMethod[Request, Response]],
        request: Request,
        *,
        anonymous: bool = False,
    ) -> Response:
        """Make a call that has one answer. Cancelling the task cancels the call at the server.

        An anonymous call carries no token, and asks for none.

        Raises:
            PenstockError: any of its subclasses.
        """
        method = stub(self.channel)
        headers = () if anonymous else await self.headers()
        try:
            return await method(request, timeout=self._timeout, metadata=headers)
        except grpc.aio.AioRpcError as error:
            raise statuses.from_call(error) from error
        except asyncio.CancelledError as error:
            raise told_apart(error) from None

    async def close(self) -> None:
        """Cancel what still runs and close the channel. May be called again."""
        self._closed = True
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()


def told_apart(error: asyncio.CancelledError) -> BaseException:
    """Tell the cancellation of the running task, which must go on, from that of its call alone, which is an error."""
    task = asyncio.current_task()
    if task is None or task.cancelling():
        return error
    return PenstockError("the call was cancelled on this side", reason="CANCELLED")


def span(field: str, value: float | timedelta) -> timedelta:
    """Read a span of time given in seconds or as timedelta.

    Raises:
        InvalidRequest: it is not longer than nothing, or not finite.
    """
    try:
        result = value if isinstance(value, timedelta) else timedelta(seconds=value)
    except (OverflowError, ValueError, TypeError) as error:
        raise invalid(field, "is a number of seconds or a timedelta") from error
    if result <= timedelta():
        raise invalid(field, "is longer than nothing")
    return result
