"""penstock.v1.SparkService."""

from __future__ import annotations

from penstock.v1 import spark_service_pb2 as messages

from penstock_server.broker.spark import SparkBroker
from penstock_server.credentials.spark_requests import SparkJobRequest
from penstock_server.model.spark import SparkState
from penstock_server.service.calls import Call, caller_of
from penstock_server.service.credential_service import lease_message, scope_of
from penstock_server.service.methods import Method, UnaryMethod
from penstock_server.service.packing import timestamp

NAME = "penstock.v1.SparkService"

_STATES = {
    SparkState.WAITING: messages.SPARK_JOB_STATE_WAITING,
    SparkState.RUNNING: messages.SPARK_JOB_STATE_RUNNING,
    SparkState.STOPPING: messages.SPARK_JOB_STATE_STOPPING,
    SparkState.SUCCEEDED: messages.SPARK_JOB_STATE_SUCCEEDED,
    SparkState.FAILED: messages.SPARK_JOB_STATE_FAILED,
    SparkState.STOPPED: messages.SPARK_JOB_STATE_STOPPED,
}


class SparkService:
    """Runs Spark jobs that reach no further than the policy."""

    def __init__(self, broker: SparkBroker) -> None:
        self._broker = broker

    def methods(self) -> tuple[Method, ...]:
        """Give the methods that are served."""
        return (
            UnaryMethod(
                name=f"/{NAME}/StartSparkJob", request=messages.StartSparkJobRequest, answer=self.start_spark_job
            ),
            UnaryMethod(name=f"/{NAME}/GetSparkJob", request=messages.GetSparkJobRequest, answer=self.get_spark_job),
            UnaryMethod(
                name=f"/{NAME}/CancelSparkJob", request=messages.CancelSparkJobRequest, answer=self.cancel_spark_job
            ),
        )

    async def start_spark_job(
        self, request: messages.StartSparkJobRequest, call: Call
    ) -> messages.StartSparkJobResponse:
        """Start a job."""
        started = await self._broker.start(
            caller_of(call),
            SparkJobRequest(
                platform=request.platform,
                scope=scope_of(request),
                entry_point=request.entry_point,
                arguments=tuple(request.arguments),
                properties=tuple(sorted(request.properties.items())),
            ),
        )
        return messages.StartSparkJobResponse(
            lease_id=started.lease_id,
            application=started.application,
            run_id=started.run_id,
            expire_time=timestamp(started.expires_at),
            session_policy=started.session_policy,
            role_arn=started.role_arn,
            revocable=started.revocable,
            grants=started.grants,
            policy_version=started.policy_version,
        )

    async def get_spark_job(self, request: messages.GetSparkJobRequest, call: Call) -> messages.GetSparkJobResponse:
        """Show one job."""
        job = await self._broker.show(caller_of(call), request.lease_id)
        return messages.GetSparkJobResponse(
            lease=lease_message(job.lease), platform=job.platform, run_id=job.run_id, state=_STATES[job.state]
        )

    async def cancel_spark_job(
        self, request: messages.CancelSparkJobRequest, call: Call
    ) -> messages.CancelSparkJobResponse:
        """Stop one job."""
        revoked = await self._broker.cancel(caller_of(call), request.lease_id)
        return messages.CancelSparkJobResponse(lease=lease_message(revoked.lease), effect=revoked.effect)
