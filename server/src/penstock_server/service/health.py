"""grpc.health.v1: SERVING once policies are bound and the issuers' keys are known, until the server drains."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import grpc
from grpc_health.v1 import health_pb2

from penstock_server.engines.duckdb.sandbox.confinement import Barrier
from penstock_server.service.calls import Call
from penstock_server.service.methods import Method, StreamMethod, UnaryMethod

NAME = "grpc.health.v1.Health"

POLICY_FILES = "penstock.policy_files"
"""The name under which health tells whether the last reload succeeded."""

RULES_QUERIES = "penstock.rules_queries"
"""The name under which health tells whether the queries of all rules datasets work."""

BARRIERS: Final = {barrier: f"penstock.barriers.{barrier.name.lower()}" for barrier in Barrier}
"""The names under which health tells which barriers around processes that hold data were tried, and held."""


class Health:
    """One status for the whole server, told under "" and under the name of each of its services.

    `POLICY_FILES` is a name of its own: SERVING as long as what decides is what the policy files say. After a reload
    that failed it is not, while everything else goes on by the policy from before. `RULES_QUERIES` is another: SERVING
    as long as the query of every rules dataset works.

    Our own in place of `grpc_health.v1.HealthServicer`, whose watchers would hold up a drain: these end with it.
    """

    def __init__(self, services: frozenset[str], *, barriers: Callable[[], frozenset[Barrier]] = frozenset) -> None:
        self._services = services | {"", POLICY_FILES, RULES_QUERIES, *BARRIERS.values()}
        self._barriers = barriers
        self._serving = False
        self._policy_current = False
        self._rules_current = False
        self._stopped = False
        self._changed = asyncio.Condition()

    @property
    def policy_current(self) -> bool:
        """What the server says of its policy files."""
        return self._policy_current

    @property
    def rules_current(self) -> bool:
        """What the server says of its rules queries."""
        return self._rules_current

    @property
    def serving(self) -> bool:
        """What the server says of itself."""
        return self._serving

    async def set_serving(self, serving: bool) -> None:
        """Say whether the server serves; after `stop` it never does again."""
        async with self._changed:
            self._serving = serving and not self._stopped
            self._changed.notify_all()

    async def set_policy_current(self, current: bool) -> None:
        """Say whether what decides is what the policy files say."""
        async with self._changed:
            self._policy_current = current
            self._changed.notify_all()

    async def set_rules_current(self, current: bool) -> None:
        """Say whether the queries of all rules datasets work."""
        async with self._changed:
            self._rules_current = current
            self._changed.notify_all()

    async def stop(self) -> None:
        """Say that it does not serve, for good, and end all watchers."""
        self._stopped = True
        await self.set_serving(False)

    def methods(self) -> tuple[Method, ...]:
        """Give the methods that are served; all are open."""
        return (
            UnaryMethod(name=f"/{NAME}/Check", request=health_pb2.HealthCheckRequest, answer=self.check, open=True),
            StreamMethod(name=f"/{NAME}/Watch", request=health_pb2.HealthCheckRequest, answer=self.watch, open=True),
        )

    async def check(self, request: health_pb2.HealthCheckRequest, call: Call) -> health_pb2.HealthCheckResponse:
        """Tell the status now."""
        if request.service not in self._services:
            call.transport.set_code(grpc.StatusCode.NOT_FOUND)
            call.transport.set_details("there is no such service")
        return health_pb2.HealthCheckResponse(status=self._status(request.service))

    async def watch(self, request: health_pb2.HealthCheckRequest, call: Call) -> None:
        """Tell the status and each change of it."""
        told: int | None = None
        while True:
            status = self._status(request.service)
            if status != told:
                await call.send(health_pb2.HealthCheckResponse(status=status).SerializeToString())
                told = status
            async with self._changed:
                if self._stopped:
                    return
                if self._status(request.service) == told:
                    await self._changed.wait()

    def _status(self, service: str) -> int:
        if service not in self._services:
            unknown: int = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
            return unknown
        active = self._barriers()
        own = {
            POLICY_FILES: self._policy_current,
            RULES_QUERIES: self._rules_current,
            **{name: barrier in active for barrier, name in BARRIERS.items()},
        }
        serving = self._serving and own.get(service, True)
        status: int = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        return status
