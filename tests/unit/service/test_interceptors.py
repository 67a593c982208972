"""The real interceptors around methods that misbehave, behind a real gRPC server in this process."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from penstock.v1.access_service_pb2 import ExplainAccessRequest, ExplainAccessResponse
from penstock_server.errors import AccessDenied, Reason, Unauthenticated
from penstock_server.model.clock import SystemClock
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestContext
from penstock_server.service.calls import Call, Interceptor
from penstock_server.service.interceptors.access_log import AccessLog
from penstock_server.service.interceptors.authentication import Authentication
from penstock_server.service.interceptors.draining import Draining
from penstock_server.service.interceptors.failures import Failures
from penstock_server.service.interceptors.limits import Limits
from penstock_server.service.interceptors.request_id import RequestId
from penstock_server.service.methods import MethodTable, StreamMethod, UnaryMethod
from support.calls import Refusal, read_refusal
from support.transports import principal

Behaviour = Callable[[Call], Awaitable[None]]


class KnownNames:
    """Accepts `Bearer NAME` for any name but `nobody`: who is who is not what these tests are about."""

    async def authenticate(self, authorization: tuple[str, ...], context: RequestContext) -> Principal:
        if len(authorization) != 1 or authorization[0] == "Bearer nobody":
            raise Unauthenticated(detail="test: nobody")
        return principal(authorization[0].removeprefix("Bearer "))


@contextlib.asynccontextmanager
async def serving(behaviour: Behaviour, *inner: Interceptor) -> AsyncIterator[Any]:
    async def answer(request: ExplainAccessRequest, call: Call) -> ExplainAccessResponse:
        await behaviour(call)
        return ExplainAccessResponse()

    async def stream(request: ExplainAccessRequest, call: Call) -> None:
        await call.send(ExplainAccessResponse().SerializeToString())
        await behaviour(call)

    interceptors: tuple[Interceptor, ...] = (
        RequestId(),
        AccessLog(SystemClock()),
        Failures(),
        Authentication(KnownNames()),
        *inner,
    )
    methods = MethodTable(
        (
            UnaryMethod(name="/t.T/Unary", request=ExplainAccessRequest, answer=answer),
            StreamMethod(name="/t.T/Stream", request=ExplainAccessRequest, answer=stream),
            UnaryMethod(name="/t.T/Open", request=ExplainAccessRequest, answer=answer, open=True),
        ),
        interceptors,
        mutual_tls=False,
    )
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 4 << 20)])
    server.add_generic_rpc_handlers((methods,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(0)


def unary(channel: Any, *, name: str = "Unary", who: str = "alice", raw: bytes = b"") -> Awaitable[bytes]:
    call: Awaitable[bytes] = channel.unary_unary(f"/t.T/{name}")(
        raw, metadata=(("authorization", f"Bearer {who}"),), timeout=10
    )
    return call


async def refused(awaitable: Awaitable[object]) -> Refusal:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await awaitable
    return read_refusal(raised.value)


async def nothing(_: Call) -> None:
    return None


async def boom(_: Call) -> None:
    raise ValueError("the cell is 987654321")


async def test_an_unforeseen_error_tells_the_request_id_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with serving(boom) as channel:
            told = await refused(unary(channel))
    assert told.code is grpc.StatusCode.INTERNAL
    assert told.reason == "INTERNAL"
    assert told.request_id
    assert told.request_id in told.message
    assert "987654321" not in repr(told)
    assert "987654321" not in caplog.text
    assert any(vars(record).get("request_id") == told.request_id for record in caplog.records)


async def test_an_unforeseen_error_in_mid_stream_tells_no_more_either() -> None:
    async with serving(boom) as channel:
        call = channel.unary_stream("/t.T/Stream")(b"", metadata=(("authorization", "Bearer alice"),), timeout=10)
        received = []

        async def read() -> None:
            async for message in call:
                received.append(message)  # noqa: PERF401 - what came before the error counts

        told = await refused(read())
    assert len(received) == 1
    assert told.code is grpc.StatusCode.INTERNAL
    assert "987654321" not in repr(told)
    assert told.request_id


async def test_a_good_answer_carries_the_request_id() -> None:
    async with serving(nothing) as channel:
        call = channel.unary_unary("/t.T/Unary")(b"", metadata=(("authorization", "Bearer alice"),), timeout=10)
        await call
        first = dict(await call.trailing_metadata())["x-request-id"]
        call = channel.unary_unary("/t.T/Unary")(b"", metadata=(("authorization", "Bearer alice"),), timeout=10)
        await call
    assert first != dict(await call.trailing_metadata())["x-request-id"]


async def test_a_method_that_is_not_served_is_unimplemented_with_a_request_id() -> None:
    async with serving(nothing) as channel:
        told = await refused(unary(channel, name="Nowhere"))
    assert told.code is grpc.StatusCode.UNIMPLEMENTED
    assert told.request_id


async def test_a_request_is_parsed_only_after_its_caller_is_known() -> None:
    async with serving(nothing) as channel:
        nobody = await refused(unary(channel, who="nobody", raw=b"\xff\xff"))
        somebody = await refused(unary(channel, raw=b"\xff\xff"))
    assert nobody.reason == "UNAUTHENTICATED"
    assert (somebody.reason, somebody.fields[0][0]) == ("INVALID_FIELD", "request")


async def test_a_request_of_more_than_a_mebibyte_is_refused_with_a_type() -> None:
    async with serving(nothing) as channel:
        fits = ExplainAccessRequest(table="x" * (1024 * 1024 - 5)).SerializeToString()
        await unary(channel, raw=fits)
        told = await refused(unary(channel, raw=ExplainAccessRequest(table="x" * 1024 * 1024).SerializeToString()))
    assert told.fields == (("request", "at most 1 MiB"),)


async def test_an_open_method_needs_no_token_and_a_closed_one_does() -> None:
    async with serving(nothing) as channel:
        await unary(channel, name="Open", who="nobody")
        assert (await refused(unary(channel, who="nobody"))).code is grpc.StatusCode.UNAUTHENTICATED


async def test_one_identity_cannot_hold_more_calls_than_its_share() -> None:
    hold = asyncio.Event()

    async def wait(_: Call) -> None:
        await hold.wait()

    async with serving(wait, Limits(calls=3, calls_per_identity=2)) as channel:
        held = [asyncio.ensure_future(unary(channel)) for _ in range(2)]
        await asyncio.sleep(0.1)
        share = await refused(unary(channel))
        held.append(asyncio.ensure_future(unary(channel, who="bob")))
        await asyncio.sleep(0.1)
        total = await refused(unary(channel, who="carol"))
        hold.set()
        await asyncio.gather(*held)
        await unary(channel)
    assert (share.reason, share.metadata["value"]) == ("QUEUE_FULL", "2")
    assert (total.reason, total.metadata["value"]) == ("QUEUE_FULL", "3")


async def test_a_call_counts_until_its_client_has_taken_the_end_or_is_gone() -> None:
    given_up = asyncio.Event()
    limits = Limits(calls=10, calls_per_identity=1)

    async def flood(call: Call) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                while True:
                    await call.send(b"x" * 1_000_000)
        given_up.set()  # the method returns, and its status waits behind what the client does not take

    async with serving(flood, limits) as channel:
        stalled = channel.unary_stream("/t.T/Stream")(b"", metadata=(("authorization", "Bearer alice"),), timeout=30)
        await stalled.read()
        await asyncio.wait_for(given_up.wait(), 10)
        await asyncio.sleep(0.1)
        assert (await refused(unary(channel))).reason == "QUEUE_FULL"
        stalled.cancel()
        for _ in range(500):
            if not limits._under_way:
                break
            await asyncio.sleep(0.01)
        assert not limits._under_way


async def test_a_draining_server_finishes_what_it_has_and_takes_nothing_new() -> None:
    hold = asyncio.Event()
    draining = Draining()

    async def wait(_: Call) -> None:
        await hold.wait()

    async with serving(wait, draining) as channel:
        held = asyncio.ensure_future(unary(channel))
        await asyncio.sleep(0.1)
        drained = asyncio.ensure_future(draining.drain(seconds=10))
        await asyncio.sleep(0)
        told = await refused(unary(channel))
        assert not drained.done()
        hold.set()
        await held
        assert await asyncio.wait_for(drained, 5) == 0
    assert (told.code, told.reason, told.retry_seconds) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", 1.0)


async def test_a_drain_ends_when_its_time_is_over_and_tells_what_is_left() -> None:
    hold = asyncio.Event()
    draining = Draining()

    async def wait(_: Call) -> None:
        await hold.wait()

    async with serving(wait, draining) as channel:
        held = asyncio.ensure_future(unary(channel))
        await asyncio.sleep(0.1)
        assert await draining.drain(seconds=0.05) == 1
        hold.set()
        await held


async def test_the_access_log_tells_how_a_call_ended_and_by_whom(caplog: pytest.LogCaptureFixture) -> None:
    async def deny(_: Call) -> None:
        raise AccessDenied(Reason.NOT_PERMITTED, "no", detail="hunter2")

    with caplog.at_level(logging.INFO):
        async with serving(deny) as channel:
            told = await refused(unary(channel))
    lines = [vars(record) for record in caplog.records if record.name.endswith("access_log")]
    assert len(lines) == 1
    line = lines[0]
    assert (line["method"], line["ended"], line["subject"]) == ("/t.T/Unary", "NOT_PERMITTED", "alice")
    assert (line["request_id"], line["peer"]) == (told.request_id, "127.0.0.1")
    assert "hunter2" not in repr(line)
