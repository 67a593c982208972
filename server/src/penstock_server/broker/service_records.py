"""Records of the service itself: when it ran, and by which configuration and policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from penstock_server.config.settings import Settings
from penstock_server.model.audit import AuditRecord, Event, Outcome
from penstock_server.model.clock import Clock
from penstock_server.model.decision import PolicyVersion
from penstock_server.model.lease import Generation, Revocation
from penstock_server.model.ports import AuditSink

MOST_PROBLEMS: Final = 20
"""Most problems of a failed load that its record keeps; the log has all."""

_MOST_USERS: Final = 20


class ServiceRecords:
    """Writes them; each method returns once its record is durable, or raises Unavailable."""

    def __init__(self, audit: AuditSink, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock

    async def started(self, settings: Settings) -> None:
        """Record that the service starts with this configuration."""
        await self._write(
            Event.SERVICE_STARTED,
            resources=(str(settings.source),),
            version=None,
            details=(("configuration_sha256", settings.digest),),
        )

    async def policy_loaded(
        self, settings: Settings, version: PolicyVersion, *, causes: Sequence[str], datasets: Sequence[str]
    ) -> None:
        """Record that a policy decides from now on; `datasets` are rules datasets of which alone it is another one."""
        await self._write(
            Event.POLICY_LOADED,
            resources=tuple(str(path) for path in settings.policies),
            version=version,
            details=(
                ("causes", ",".join(causes)),
                *((("rules_datasets", ",".join(datasets)),) if datasets else ()),
            ),
        )

    async def policy_load_failed(
        self, settings: Settings, version: PolicyVersion | None, *, causes: Sequence[str], problems: Sequence[str]
    ) -> None:
        """Record that a policy could not be loaded, and which version still decides."""
        await self._write(
            Event.POLICY_LOAD_FAILED,
            outcome=Outcome.FAILED,
            resources=tuple(str(path) for path in settings.policies),
            version=version,
            reason=problems[0] if problems else "",
            details=(("causes", ",".join(causes)), ("problems", "\n".join(problems[:MOST_PROBLEMS]))),
        )

    async def rules_refresh_failed(
        self, dataset: str, version: PolicyVersion, *, problems: Sequence[str], stale: bool
    ) -> None:
        """Record that the query of a rules dataset fails; `stale` = what it gave last shows nobody a row any more."""
        await self._write(
            Event.POLICY_LOAD_FAILED,
            outcome=Outcome.FAILED,
            resources=(dataset,),
            version=version,
            reason=problems[0] if problems else "",
            details=(
                ("causes", "rules"),
                ("problems", "\n".join(problems[:MOST_PROBLEMS])),
                ("stale", "true" if stale else "false"),
            ),
        )

    async def revoked(self, revocation: Revocation) -> None:
        """Record what was revoked by others than a call: by the command line, or because the policy changed."""
        await self._write(
            Event.LEASES_REVOKED,
            resources=(f"{revocation.kind.value}:{revocation.target}",),
            version=None,
            reason=revocation.cause,
            details=(("leases", str(revocation.leases)), ("generation", str(revocation.generation))),
        )

    async def revocations_written(self, generation: Generation, entries: int, width: str) -> None:
        """Record that AWS holds the revocations up to a generation, as read back."""
        await self._write(
            Event.REVOCATIONS_WRITTEN,
            resources=(),
            version=None,
            details=(("generation", str(generation)), ("entries", str(entries)), ("width", width)),
        )

    async def sessions_ended(self, warehouse: str, users: Sequence[str]) -> None:
        """Record whose sessions in a warehouse were ended: the first of its database users, and how many there are."""
        await self._write(
            Event.SESSIONS_ENDED,
            resources=(warehouse,),
            version=None,
            details=(("count", str(len(users))), ("users", ",".join(users[:_MOST_USERS]))),
        )

    async def spark_jobs_stopped(self, leases: Sequence[str]) -> None:
        """Record which Spark jobs were told to stop: the first of their leases, and how many there are."""
        await self._write(
            Event.SPARK_JOBS_STOPPED,
            resources=tuple(leases[:_MOST_USERS]),
            version=None,
            details=(("count", str(len(leases))),),
        )

    async def stopped(self) -> None:
        """Record that the service ends in order."""
        await self._write(Event.SERVICE_STOPPED, resources=(), version=None, details=())

    async def _write(
        self,
        event: Event,
        *,
        resources: tuple[str, ...],
        version: PolicyVersion | None,
        details: tuple[tuple[str, str], ...],
        outcome: Outcome = Outcome.ALLOWED,
        reason: str = "",
    ) -> None:
        await self._audit.record(
            AuditRecord(
                event=event,
                outcome=outcome,
                occurred_at=self._clock.now(),
                request_id="",
                issuer="",
                subject="",
                username="",
                resources=resources,
                policy_version=version,
                reason=reason,
                details=details,
            )
        )
