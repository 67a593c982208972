"""grpc.reflection: the contract, for tools such as grpcurl; served only where the configuration says so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import aio

from penstock_server.service import health
from penstock_server.service.calls import Call, Transport
from penstock_server.service.methods import ConversationMethod, Method

NAME = "grpc.reflection.v1alpha.ServerReflection"


class Reflection:
    """Tells the descriptors of the services that are served."""

    def __init__(self, services: Iterable[str]) -> None:
        self._servicer = aio.ReflectionServicer([*services, health.NAME, NAME])

    def methods(self) -> tuple[Method, ...]:
        """Give the methods that are served; all are open: the contract is public."""
        return (ConversationMethod(name=f"/{NAME}/ServerReflectionInfo", answer=self.converse),)

    async def converse(self, call: Call) -> None:
        """Answer each question as it comes."""
        async for answer in self._servicer.ServerReflectionInfo(_questions(call.transport), None):
            await call.send(answer.SerializeToString())


async def _questions(transport: Transport) -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
    while (raw := await transport.read()) is not grpc.aio.EOF:
        yield reflection_pb2.ServerReflectionRequest.FromString(raw)
