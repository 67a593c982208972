"""Stops every run of Spark that has no living lease, until its service says that nothing of it runs any more.

Level-triggered: each turn looks at the state alone, so it does not matter whether a lease was revoked by a call, a
re-check or the command line, ended by itself, or never came to be because the service ended while it was starting one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from penstock_server.config.settings import SparkSettings
from penstock_server.credentials.spark_jobs import run_name
from penstock_server.errors import PenstockError
from penstock_server.model.clock import Clock
from penstock_server.model.lease import LeaseStatus
from penstock_server.model.ports import SparkJobs, SparkRunStore
from penstock_server.model.spark import KeptRun, SparkKind, SparkRun

log = logging.getLogger(__name__)

STARTS_WITHIN: Final = timedelta(minutes=2)
"""A start that takes longer was cut off: no caller waits for it, and its run is stopped."""
SHOWS_WITHIN: Final = timedelta(minutes=15)
"""A run that its service does not show for so long, by its name, never began."""
_PAGE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """What a turn came to: runs that were told to stop now (their leases), and how many could not be reached."""

    stopped: tuple[str, ...]
    failed: int


class SparkReaper:
    """Runs turns over all platforms."""

    def __init__(
        self,
        *,
        platforms: Mapping[str, SparkSettings],
        services: Mapping[SparkKind, SparkJobs],
        runs: SparkRunStore,
        clock: Clock,
    ) -> None:
        self._platforms = platforms
        self._services = services
        self._runs = runs
        self._clock = clock

    async def turn(self) -> Turned:
        """Look at every run once.

        Raises:
            Unavailable: there is no state. A service that cannot be reached is tried again by the next turn.
        """
        stopped: list[str] = []
        failed, after = 0, ""
        while page := await self._runs.page(after=after, limit=_PAGE):
            for kept in page:
                try:
                    if self._is_due(kept) and await self._stop(kept):
                        stopped.append(kept.lease_id)
                except PenstockError as error:
                    failed += 1
                    detail = {"lease": kept.lease_id, "detail": error.detail or error.message}
                    log.error("a Spark job cannot be stopped yet", extra=detail)  # noqa: TRY400
            after = page[-1].lease_id
        return Turned(stopped=tuple(stopped), failed=failed)

    def _is_due(self, kept: KeptRun) -> bool:
        if kept.status is LeaseStatus.ISSUED:
            return not kept.lives
        if kept.status is LeaseStatus.ISSUING and kept.lives:
            return self._clock.now() >= kept.begun_at + STARTS_WITHIN
        return True

    async def _stop(self, kept: KeptRun) -> bool:
        """Stop one, and forget it once it has ended; tell whether it was told to stop."""
        platform = self._platforms.get(kept.platform)
        if platform is None:
            # It was taken out of the configuration, and its service is not known: its policy closes by itself.
            log.error("a Spark job of a platform that is gone cannot be stopped", extra={"lease": kept.lease_id})
            if not kept.lives:
                await self._runs.ended(kept.lease_id)
            return False
        service = self._services[platform.kind]
        run = await self._found(service, kept)
        if run is None:
            if self._clock.now() >= kept.begun_at + SHOWS_WITHIN:
                await self._runs.ended(kept.lease_id)
            return False
        if (await service.state(run)).ended:
            await self._runs.ended(kept.lease_id)
            return False
        await service.stop(run)
        return True

    async def _found(self, service: SparkJobs, kept: KeptRun) -> SparkRun | None:
        if kept.run_id:
            return kept.run
        found = await service.find(
            region=kept.region, application=kept.application, name=run_name(kept.lease_id), since=kept.begun_at
        )
        if found is not None:
            await self._runs.started(kept.lease_id, found.run_id)
        return found
