"""Runs of Spark jobs: each is written before it is asked for, and leaves only once its service says that it ended."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from penstock_server.model.clock import Clock
from penstock_server.model.lease import LeaseId, LeaseStatus
from penstock_server.model.spark import KeptRun
from penstock_server.state.database import Database
from penstock_server.state.tables import LEASES, SPARK_RUNS, from_microseconds, to_microseconds


class SparkRuns:
    """The port `SparkRunStore`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def begin(self, lease_id: LeaseId, *, platform: str, region: str, application: str) -> None:
        """Write a run that is about to be asked for."""
        now = to_microseconds(self._clock.now())
        await self._database.run(
            lambda connection: connection.execute(
                insert(SPARK_RUNS).values(
                    lease_id=lease_id,
                    platform=platform,
                    region=region,
                    application=application,
                    run_id="",
                    begun_at=now,
                )
            )
        )

    async def started(self, lease_id: LeaseId, run_id: str) -> None:
        """Note the id that its service gave a run."""
        await self._database.run(
            lambda connection: connection.execute(
                update(SPARK_RUNS).where(SPARK_RUNS.c.lease_id == lease_id).values(run_id=run_id)
            )
        )

    async def ended(self, lease_id: LeaseId) -> None:
        """Forget a run of which nothing runs any more."""
        await self._database.run(
            lambda connection: connection.execute(delete(SPARK_RUNS).where(SPARK_RUNS.c.lease_id == lease_id))
        )

    async def find(self, lease_id: LeaseId) -> KeptRun | None:
        """Find the run of a lease."""
        found = await self._select(_with_leases().where(SPARK_RUNS.c.lease_id == lease_id))
        return found[0] if found else None

    async def page(self, *, after: str, limit: int) -> Sequence[KeptRun]:
        """Give up to `limit` runs, by the ids of their leases, with ids greater than `after`."""
        query = _with_leases().where(SPARK_RUNS.c.lease_id > after)
        return await self._select(query.order_by(SPARK_RUNS.c.lease_id).limit(limit))

    async def _select(self, query: Select[tuple[object, ...]]) -> Sequence[KeptRun]:
        now = to_microseconds(self._clock.now())

        def work(connection: Connection) -> Sequence[KeptRun]:
            return tuple(_run_of(row, now) for row in connection.execute(query))

        return await self._database.run(work)


def _with_leases() -> Select[tuple[object, ...]]:
    # A lease that has ended may be gone before its run is.
    lease = (LEASES.c.status, LEASES.c.expires_at)
    return select(SPARK_RUNS, *lease).outerjoin(LEASES, LEASES.c.id == SPARK_RUNS.c.lease_id)


def _run_of(row: Row[tuple[object, ...]], now: int) -> KeptRun:
    return KeptRun(
        lease_id=LeaseId(row.lease_id),
        platform=row.platform,
        region=row.region,
        application=row.application,
        run_id=row.run_id,
        begun_at=from_microseconds(row.begun_at),
        status=None if row.status is None else LeaseStatus(row.status),
        lives=row.expires_at is not None and row.expires_at > now,
    )
