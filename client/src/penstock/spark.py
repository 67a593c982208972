"""Spark jobs that the server runs under the caller's scope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from penstock import unpacking
from penstock.calls import Calls
from penstock.credentials import Lease, RevokedLease
from penstock.portal import Portal
from penstock.session_requests import session_request, texts
from penstock.v1 import spark_service_pb2, spark_service_pb2_grpc


class SparkState(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"
    RUNNING = "running"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedSparkJob:
    """A job that was started; its lease is by what it is shown and stopped.

    `application` and `run_id` are those of its service; `expires_at` is when `session_policy`, the JSON under which it
    runs, closes; `revocable` says in words how it can be ended early.
    """

    lease_id: str
    application: str
    run_id: str
    expires_at: datetime
    session_policy: str
    role_arn: str
    revocable: str
    grants: tuple[str, ...]
    policy_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkJob:
    """A job; `run_id` is "" while its service has not named it."""

    lease: Lease
    platform: str
    run_id: str
    state: SparkState


_STATES = {
    spark_service_pb2.SPARK_JOB_STATE_WAITING: SparkState.WAITING,
    spark_service_pb2.SPARK_JOB_STATE_RUNNING: SparkState.RUNNING,
    spark_service_pb2.SPARK_JOB_STATE_STOPPING: SparkState.STOPPING,
    spark_service_pb2.SPARK_JOB_STATE_SUCCEEDED: SparkState.SUCCEEDED,
    spark_service_pb2.SPARK_JOB_STATE_FAILED: SparkState.FAILED,
    spark_service_pb2.SPARK_JOB_STATE_STOPPED: SparkState.STOPPED,
}


class AsyncSpark:
    """Starts, shows and stops Spark jobs: `Broker.spark`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def run(
        self,
        platform: str,
        resources: Sequence[str],
        *,
        access: str | Sequence[str] = "read",
        ttl: float | timedelta | None = None,
        purpose: str = "",
        entry_point: str = "",
        arguments: Sequence[str] = (),
        properties: Mapping[str, str] | None = None,
    ) -> StartedSparkJob:
        """Start a job on a configured platform; its scope is asked for as that of `Broker.aws_credentials`.

        `entry_point` is the program, `s3://BUCKET/KEY` within what is asked to be read; on Glue the job has its own.
        `ttl` is in seconds, up to 12 hours. Each call starts a job of its own.

        Raises:
            InvalidRequest: a field breaks a rule, or the program lies outside the scope.
            NotFound: there is no such platform.
            AccessDenied, LimitExceeded: as `Broker.aws_credentials`.
        """
        scope = session_request(resources, access=access, ttl=ttl, purpose=purpose)
        request = spark_service_pb2.StartSparkJobRequest(
            platform=platform,
            resources=scope.resources,
            access=scope.access,
            ttl=scope.ttl if scope.HasField("ttl") else None,
            purpose=scope.purpose,
            request_id=scope.request_id,
            entry_point=entry_point,
            arguments=texts("arguments", arguments),
            properties=dict(properties or {}),
        )
        answer = await self._calls.unary(lambda c: spark_service_pb2_grpc.SparkServiceStub(c).StartSparkJob, request)
        return StartedSparkJob(
            lease_id=answer.lease_id,
            application=answer.application,
            run_id=answer.run_id,
            expires_at=unpacking.instant(answer.expire_time),
            session_policy=answer.session_policy,
            role_arn=answer.role_arn,
            revocable=answer.revocable,
            grants=tuple(answer.grants),
            policy_version=answer.policy_version,
        )

    async def show(self, lease_id: str) -> SparkJob:
        """Show a job of the caller; administrators may ask for any. Raises NotFound."""
        request = spark_service_pb2.GetSparkJobRequest(lease_id=lease_id)
        answer = await self._calls.unary(lambda c: spark_service_pb2_grpc.SparkServiceStub(c).GetSparkJob, request)
        return SparkJob(
            lease=unpacking.lease(answer.lease),
            platform=answer.platform,
            run_id=answer.run_id,
            state=unpacking.known(_STATES, answer.state),
        )

    async def cancel(self, lease_id: str) -> RevokedLease:
        """Stop a job of the caller; administrators may stop any. Again is no error. Raises NotFound."""
        request = spark_service_pb2.CancelSparkJobRequest(lease_id=lease_id)
        answer = await self._calls.unary(lambda c: spark_service_pb2_grpc.SparkServiceStub(c).CancelSparkJob, request)
        return RevokedLease(lease=unpacking.lease(answer.lease), effect=answer.effect)


class Spark:
    """The same, waiting."""

    def __init__(self, spark: AsyncSpark, portal: Portal) -> None:
        self._spark = spark
        self._portal = portal

    def run(
        self,
        platform: str,
        resources: Sequence[str],
        *,
        access: str | Sequence[str] = "read",
        ttl: float | timedelta | None = None,
        purpose: str = "",
        entry_point: str = "",
        arguments: Sequence[str] = (),
        properties: Mapping[str, str] | None = None,
    ) -> StartedSparkJob:
        """Start a job, as `AsyncSpark.run`."""
        started = self._spark.run(
            platform,
            resources,
            access=access,
            ttl=ttl,
            purpose=purpose,
            entry_point=entry_point,
            arguments=arguments,
            properties=properties,
        )
        return self._portal.run(started)

    def show(self, lease_id: str) -> SparkJob:
        """Show a job of the caller; administrators may ask for any. Raises NotFound."""
        return self._portal.run(self._spark.show(lease_id))

    def cancel(self, lease_id: str) -> RevokedLease:
        """Stop a job of the caller; administrators may stop any. Again is no error. Raises NotFound."""
        return self._portal.run(self._spark.cancel(lease_id))
