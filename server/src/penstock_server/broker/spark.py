"""Spark jobs as the service sees them: started by anybody with a scope, shown and stopped for their owners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penstock_server.broker.callers import Caller
from penstock_server.broker.leases import LeaseBroker, RevokedLease
from penstock_server.config.settings import SparkSettings
from penstock_server.credentials.spark_jobs import SparkJobDoor
from penstock_server.credentials.spark_requests import SparkJobRequest, StartedSparkJob
from penstock_server.errors import NotFound, Reason
from penstock_server.model.lease import Lease
from penstock_server.model.ports import SparkJobs, SparkRunStore
from penstock_server.model.resource import Door
from penstock_server.model.spark import SparkKind, SparkState


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkJob:
    """One job; `run_id` is "" while it is not known."""

    lease: Lease
    platform: str
    run_id: str
    state: SparkState


class SparkBroker:
    """Answers SparkService."""

    def __init__(
        self,
        *,
        door: SparkJobDoor,
        leases: LeaseBroker,
        runs: SparkRunStore,
        platforms: Mapping[str, SparkSettings],
        services: Mapping[SparkKind, SparkJobs],
    ) -> None:
        self._door = door
        self._leases = leases
        self._runs = runs
        self._platforms = platforms
        self._services = services

    async def start(self, caller: Caller, request: SparkJobRequest) -> StartedSparkJob:
        """Start a job. Raises as `SparkJobDoor.start`."""
        return await self._door.start(caller.principal, request, caller.context)

    async def show(self, caller: Caller, lease_id: str) -> SparkJob:
        """Show a job to its owner or an administrator. Raises NotFound, Unavailable."""
        lease = await self._leases.show(caller, lease_id)
        kept = await self._runs.find(lease.id) if lease.door is Door.SPARK else None
        if lease.door is not Door.SPARK:
            raise _no_job()
        platform = None if kept is None else self._platforms.get(kept.platform)
        if kept is None or platform is None:
            # Its run was seen to have ended, and is forgotten.
            return SparkJob(lease=lease, platform="", run_id="", state=SparkState.STOPPED)
        if not kept.run_id:
            return SparkJob(lease=lease, platform=kept.platform, run_id="", state=SparkState.WAITING)
        state = await self._services[platform.kind].state(kept.run)
        return SparkJob(lease=lease, platform=kept.platform, run_id=kept.run_id, state=state)

    async def cancel(self, caller: Caller, lease_id: str) -> RevokedLease:
        """Stop a job, for its owner or an administrator. Raises NotFound, Unavailable."""
        lease = await self._leases.show(caller, lease_id)
        if lease.door is not Door.SPARK:
            raise _no_job()
        return await self._leases.revoke(caller, lease_id)


def _no_job() -> NotFound:
    return NotFound(Reason.RESOURCE_NOT_FOUND, "there is no such job for you", hint="list yours with `penstock leases`")
