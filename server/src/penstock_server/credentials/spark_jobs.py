"""The door for Spark jobs: a job runs under the session policy that a session of the same request would have.

The broker starts the job itself, since whoever may start one could leave the policy out. The plan is that of a session
(`session_plans`): the same grants, closed locations, fence, proof and fit; and the policy is always closed at the end
of the lease, because the service makes the job's sessions anew under it. The run stands in the state before its
service is asked, so that none is forgotten: `spark_ends` stops what has no living lease.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from penstock_server.config.settings import SparkSettings
from penstock_server.credentials.aws_sessions import attempt_of
from penstock_server.credentials.grounds_of_leases import LeaseGrounds
from penstock_server.credentials.leases import Answered, LeasedIssue, digest_request, same_policy
from penstock_server.credentials.names import LEASE_TAG
from penstock_server.credentials.records import Asked, DoorRecords
from penstock_server.credentials.session_plans import SessionPlan, SessionPlanner
from penstock_server.credentials.spark_requests import (
    SparkJobRequest,
    StartedSparkJob,
    require_readable_program,
    validate_job,
    validate_platform,
)
from penstock_server.errors import AccessDenied, NotFound, Reason
from penstock_server.model.clock import Clock
from penstock_server.model.lease import Lease, LeaseId
from penstock_server.model.ports import AuditSink, LeaseStore, RevocationStore, SparkJobs, SparkRunStore
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestContext
from penstock_server.model.resource import Door
from penstock_server.model.spark import SparkKind, SparkRun, SparkStart
from penstock_server.policy.bound import BoundPolicy

REVOCABLE = "yes: the run is stopped, again and again until its service says that it has ended"


def run_name(lease: LeaseId) -> str:
    """Give the name of a run at its service."""
    return f"penstock-{lease}"


class SparkJobDoor:
    """Starts Spark jobs. `wake` lets runs without a living lease be stopped at once."""

    def __init__(
        self,
        *,
        platforms: Sequence[SparkSettings],
        planner: SessionPlanner,
        services: Mapping[SparkKind, SparkJobs],
        runs: SparkRunStore,
        policies: Callable[[], BoundPolicy],
        leases: LeaseStore,
        revocations: RevocationStore,
        audit: AuditSink,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        wake: Callable[[], None],
    ) -> None:
        """Take the platforms, and the services that run their jobs."""
        self._platforms = {platform.name: platform for platform in platforms}
        self._planner = planner
        self._services = services
        self._runs = runs
        self._policies = policies
        self._clock = clock
        self._wake = wake
        self._records = DoorRecords(audit, clock)
        self._issue = LeasedIssue(
            leases=leases, revocations=revocations, records=self._records, clock=clock, random_bytes=random_bytes
        )

    async def start(self, principal: Principal, request: SparkJobRequest, context: RequestContext) -> StartedSparkJob:
        """Start one job.

        Raises:
            InvalidRequest: a field breaks a rule, the program lies outside the scope, or the request id was used.
            NotFound: there is no such platform, or no such table for this caller.
            AccessDenied: no grant, a closed location, or no role; or the platform's role does not serve it.
            LimitExceeded: the scope does not fit a session policy, or the job would live too short.
            Unavailable: policy, state, audit or AWS is not there, or the job was withdrawn.
            Disagreement: the session policy is not proved to be what was decided.
        """
        asked = Asked(
            principal=principal,
            context=context,
            door=Door.SPARK,
            resources=request.scope.resources,
            purpose=request.scope.purpose,
        )
        policy: BoundPolicy | None = None
        try:
            platform = self._platform(request)
            policy = self._policies()
            plan = self._planner.plan(principal, request.scope, context, policy, job_ttl=platform.max_ttl)
            if await self._planner.require_closed_resources(plan):
                # Time passed: lifetimes count from now.
                policy = self._policies()
                plan = self._planner.plan(principal, request.scope, context, policy, job_ttl=platform.max_ttl)
            _require_role(plan, platform)
            require_readable_program(request, platform.kind, plan.covered)
        except Exception as error:
            await self._records.not_issued(asked, None if policy is None else policy.version, error)
            raise
        decided_by = policy
        return await self._carry_out(asked, request, plan, platform, lambda: same_policy(self._policies(), decided_by))

    def recheck(self, policy: BoundPolicy, lease: Lease, grounds: LeaseGrounds) -> str:
        """Say why a lease of this door would not be given by a policy, "" where it would be.

        The program lies within what the job reads, and a lease that would reach less is not given: so it still does.
        """
        return self._planner.recheck(policy, lease, grounds)

    def _platform(self, request: SparkJobRequest) -> SparkSettings:
        validate_platform(request.platform)
        platform = self._platforms.get(request.platform)
        if platform is None:
            raise NotFound(
                Reason.RESOURCE_NOT_FOUND,
                "there is no such Spark platform",
                hint="ask the operator for the names under `credentials.spark`",
            )
        validate_job(request, platform.kind)
        return platform

    async def _carry_out(
        self,
        asked: Asked,
        request: SparkJobRequest,
        plan: SessionPlan,
        platform: SparkSettings,
        unchanged: Callable[[], bool],
    ) -> StartedSparkJob:
        async def call(lease: LeaseId) -> SparkRun:
            place = (platform.region, platform.application)
            await self._runs.begin(lease, platform=platform.name, region=place[0], application=place[1])
            run = await self._services[platform.kind].start(_start(request, plan, platform, lease))
            await self._runs.started(lease, run.run_id)
            return run

        attempt = attempt_of(asked, request.scope, plan, unchanged)
        program = (request.platform, request.entry_point, request.arguments, sorted(request.properties))
        attempt = replace(
            attempt,
            request_digest=digest_request(attempt.request_digest, *program),
            details=(*attempt.details, *_program_details(request, platform)),
        )
        try:
            lease, run = await self._issue.run(attempt, call, self._describe)
        except BaseException:
            # SECURITY: a run may have begun all the same; without a living lease it is stopped.
            self._wake()
            raise
        return StartedSparkJob(
            lease_id=lease,
            application=run.application,
            run_id=run.run_id,
            expires_at=plan.closes_at,
            session_policy=plan.session_policy.text,
            scope=plan.covered_in_words,
            role_arn=plan.role.arn,
            revocable=REVOCABLE,
            grants=plan.covered.grants,
            policy_version=plan.policy_version,
        )

    def _describe(self, run: SparkRun) -> Answered:
        details = (("application", run.application), ("run", run.run_id))
        return Answered(issued_at=self._clock.now(), details=details)


def _require_role(plan: SessionPlan, platform: SparkSettings) -> None:
    if plan.role.name != platform.role:
        raise AccessDenied(
            Reason.NOT_CONFIGURED,
            f"the role of the platform `{platform.name}` does not serve these resources",
            hint="ask the operator for a platform whose role serves them",
        )


def _start(request: SparkJobRequest, plan: SessionPlan, platform: SparkSettings, lease: LeaseId) -> SparkStart:
    return SparkStart(
        region=platform.region,
        application=platform.application,
        role_arn=plan.role.arn,
        session_policy=plan.session_policy.text,
        entry_point=request.entry_point,
        arguments=request.arguments,
        properties=request.properties,
        minutes=int(plan.lifetime.total_seconds()) // 60,
        token=run_name(lease),
        name=run_name(lease),
        tags=((LEASE_TAG, lease),),
    )


def _program_details(request: SparkJobRequest, platform: SparkSettings) -> tuple[tuple[str, str], ...]:
    # Arguments may hold what is nobody's business but the program's; their digest tells two jobs apart.
    arguments = json.dumps(request.arguments, separators=(",", ":")).encode(errors="surrogatepass")
    return (
        ("platform", platform.name),
        ("application", platform.application),
        ("entry_point", request.entry_point),
        ("arguments_sha256", hashlib.sha256(arguments).hexdigest()),
        ("properties", " ".join(f"{name}={value}" for name, value in request.properties)),
    )
