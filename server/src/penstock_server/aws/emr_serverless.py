"""Spark jobs on EMR Serverless, each under a session policy of its own.

Source: https://docs.aws.amazon.com/emr-serverless/latest/APIReference/API_StartJobRun.html (`executionIamPolicy`:
what the job may do is the intersection of the execution role's policies and these).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from penstock_server.aws.clients import AwsClients
from penstock_server.aws.errors import Failure, as_error
from penstock_server.model.spark import SparkRun, SparkStart, SparkState

SERVICE: Final = "emr-serverless"
START: Final = "emr-serverless:StartJobRun"
GET: Final = "emr-serverless:GetJobRun"
CANCEL: Final = "emr-serverless:CancelJobRun"
LIST: Final = "emr-serverless:ListJobRuns"

_CLOCKS: Final = timedelta(minutes=5)
"""How much our clock and that of AWS may differ."""

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


class EmrServerlessJobs:
    """Starts, looks at and cancels runs of an application."""

    def __init__(self, clients: AwsClients) -> None:
        self._clients = clients

    async def start(self, request: SparkStart) -> SparkRun:
        """Start a run.

        Raises:
            Unavailable: AWS is busy, away, refuses the broker, or answers nonsense.
            LimitExceeded: too many calls wait.
        """
        return await self._clients.run(lambda: self._start(request), operation=START)

    async def state(self, run: SparkRun) -> SparkState:
        """Ask where a run stands. Raises as `start`."""
        return await self._clients.run(lambda: self._state(run), operation=GET)

    async def stop(self, run: SparkRun) -> None:
        """Ask that a run end at once; one that has ended already is no error. Raises as `start`."""
        await self._clients.run(lambda: self._stop(run), operation=CANCEL)

    async def find(self, *, region: str, application: str, name: str, since: datetime) -> SparkRun | None:
        """Find the run of a name that was started since an instant. Raises as `start`."""
        return await self._clients.run(lambda: self._find(region, application, name, since), operation=LIST)

    def _start(self, request: SparkStart) -> SparkRun:
        driver: dict[str, Any] = {"entryPoint": request.entry_point, "entryPointArguments": list(request.arguments)}
        if request.properties:
            driver["sparkSubmitParameters"] = " ".join(f"--conf {name}={value}" for name, value in request.properties)
        client: Any = self._clients.own(SERVICE, request.region)
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
            raise as_error(Failure.UNREACHABLE, detail=f"{START}: the answer names another run, or none")
        return SparkRun(region=request.region, application=request.application, run_id=str(answer["jobRunId"]))

    def _state(self, run: SparkRun) -> SparkState:
        client: Any = self._clients.own(SERVICE, run.region)
        try:
            answer = client.get_job_run(applicationId=run.application, jobRunId=run.run_id)
        except client.exceptions.ResourceNotFoundException:
            # AWS: runs of an application that was deleted, and very old ones.
            return SparkState.STOPPED
        state = _STATES.get(str(answer.get("jobRun", {}).get("state")))
        if state is None:
            raise as_error(Failure.UNREACHABLE, detail=f"{GET}: the answer has a state that is not known")
        return state

    def _stop(self, run: SparkRun) -> None:
        client: Any = self._clients.own(SERVICE, run.region)
        try:
            client.cancel_job_run(applicationId=run.application, jobRunId=run.run_id)
        except client.exceptions.ValidationException:
            # AWS: so it answers for a run that has ended; whether it has is looked at, not believed.
            if not self._state(run).ended:
                raise

    def _find(self, region: str, application: str, name: str, since: datetime) -> SparkRun | None:
        client: Any = self._clients.own(SERVICE, region)
        pages = client.get_paginator("list_job_runs").paginate(
            applicationId=application, createdAtAfter=since - _CLOCKS, mode="BATCH"
        )
        for page in pages:
            for run in page["jobRuns"]:
                if run.get("name") == name:
                    return SparkRun(region=region, application=application, run_id=str(run["id"]))
        return None
