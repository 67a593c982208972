"""Spark jobs on EMR Serverless, each under a session policy of its own.

Source: https://docs.aws.amazon.com/emr-serverless/latest/APIReference/API_StartJobRun.html (`executionIamPolicy`:
what the job may do is the intersection of the execution role's policies and these).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from penstock_server.aws.errors import Failure, as_error
from penstock_server.aws.spark_runs import CLOCKS, Operations, SparkRuns
from penstock_server.model.spark import SparkRun, SparkStart, SparkState

_STATES: Final = {
    "SUBMITTED": SparkState.WAITING,
    "PENDING": SparkState.WAITING,
    "SCHEDULED": SparkState.WAITING,
    "QUEUED": SparkState.WAITING,
    "RUNNING": SparkState.RUNNING,
    "CANCELLING": SparkState.STOPPING,
    "SUCCESS": SparkState.SUCCEEDED,
    "FAILED": SparkState.FAILED,
    "CANCELLED": SparkState.STOPPED,
}
_OPERATIONS: Final = Operations(
    service="emr-serverless",
    start="emr-serverless:StartJobRun",
    get="emr-serverless:GetJobRun",
    stop="emr-serverless:CancelJobRun",
    find="emr-serverless:ListJobRuns",
    states=_STATES,
)


class EmrServerlessJobs(SparkRuns):
    """Starts, looks at and cancels runs of an application."""

    operations = _OPERATIONS

    def _start(self, request: SparkStart) -> SparkRun:
        driver: dict[str, Any] = {"entryPoint": request.entry_point, "entryPointArguments": list(request.arguments)}
        if request.properties:
            driver["sparkSubmitParameters"] = " ".join(f"--conf {name}={value}" for name, value in request.properties)
        client = self._client(request.region)
        answer = client.start_job_run(
            applicationId=request.application,
            clientToken=request.token,
            executionRoleArn=request.role_arn,
            executionIamPolicy={"policy": request.session_policy},
            jobDriver={"sparkSubmit": driver},
            executionTimeoutMinutes=request.minutes,
            name=request.name,
            mode="BATCH",
            # AWS: a run that fails is started again under the same policy; one attempt is what was asked for.
            retryPolicy={"maxAttempts": 1},
            tags=dict(request.tags),
        )
        if answer.get("applicationId") != request.application or not answer.get("jobRunId"):
            raise as_error(Failure.UNREACHABLE, detail=f"{_OPERATIONS.start}: the answer names another run, or none")
        return SparkRun(region=request.region, application=request.application, run_id=str(answer["jobRunId"]))

    def _state(self, run: SparkRun) -> SparkState:
        client = self._client(run.region)
        try:
            answer = client.get_job_run(applicationId=run.application, jobRunId=run.run_id)
        except client.exceptions.ResourceNotFoundException:
            # AWS: runs of an application that was deleted, and very old ones.
            return SparkState.STOPPED
        return self._read_state(answer.get("jobRun", {}).get("state"))

    def _stop(self, run: SparkRun) -> None:
        client = self._client(run.region)
        try:
            client.cancel_job_run(applicationId=run.application, jobRunId=run.run_id)
        except client.exceptions.ValidationException:
            # AWS: so it answers for a run that has ended; whether it has is looked at, not believed.
            if not self._state(run).ended:
                raise

    def _find(self, region: str, application: str, name: str, since: datetime) -> str | None:
        client = self._client(region)
        pages = client.get_paginator("list_job_runs").paginate(
            applicationId=application, createdAtAfter=since - CLOCKS, mode="BATCH"
        )
        for page in pages:
            for run in page["jobRuns"]:
                if run.get("name") == name:
                    return str(run["id"])
        return None
