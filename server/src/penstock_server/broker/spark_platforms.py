"""The Spark platforms of a configuration: the services that run their jobs, and the one who stops these."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from penstock_server.audit.log import AuditLog
from penstock_server.aws.clients import AwsClients
from penstock_server.aws.emr_serverless import EmrServerlessJobs
from penstock_server.aws.glue_jobs import GlueJobs
from penstock_server.config.settings import SparkSettings
from penstock_server.credentials.session_plans import SessionPlanner
from penstock_server.credentials.spark_ends import SparkReaper
from penstock_server.credentials.spark_jobs import SparkJobDoor
from penstock_server.model.clock import Clock
from penstock_server.model.ports import SparkJobs
from penstock_server.model.spark import SparkKind
from penstock_server.policy.bound import BoundPolicy
from penstock_server.state.store import State


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkPlatforms:
    """What there is of them, by name and by kind. `reaper` is None where AWS is not configured."""

    platforms: Mapping[str, SparkSettings]
    services: Mapping[SparkKind, SparkJobs]
    door: SparkJobDoor
    reaper: SparkReaper | None


def spark_platforms(
    settings: tuple[SparkSettings, ...],
    *,
    aws: AwsClients | None,
    planner: SessionPlanner,
    policies: Callable[[], BoundPolicy],
    state: State,
    audit: AuditLog,
    clock: Clock,
    wake: Callable[[], None],
) -> SparkPlatforms:
    """Put the door and the reaper together."""
    services: Mapping[SparkKind, SparkJobs] = (
        {} if aws is None else {SparkKind.EMR_SERVERLESS: EmrServerlessJobs(aws), SparkKind.GLUE: GlueJobs(aws)}
    )
    platforms = {platform.name: platform for platform in settings} if services else {}
    return SparkPlatforms(
        platforms=platforms,
        services=services,
        door=SparkJobDoor(
            platforms=tuple(platforms.values()),
            planner=planner,
            services=services,
            runs=state.spark_runs,
            policies=policies,
            leases=state.leases,
            revocations=state.revocations,
            audit=audit,
            clock=clock,
            random_bytes=secrets.token_bytes,
            wake=wake,
        ),
        # Without a platform there may be runs of one that was taken out; they are forgotten when they are over.
        reaper=SparkReaper(platforms=platforms, services=services, runs=state.spark_runs, clock=clock)
        if services
        else None,
    )
