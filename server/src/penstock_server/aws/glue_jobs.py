"""Spark jobs on AWS Glue, each run under a session policy of its own.

Source: https://docs.aws.amazon.com/glue/latest/webapi/API_StartJobRun.html (`ExecutionRoleSessionPolicy`: an inline
session policy, so what the run may do is the intersection of the job's role and this).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from penstock_server.aws.clients import AwsClients
from penstock_server.aws.errors import Failure, as_error
from penstock_server.model.spark import SparkRun, SparkStart, SparkState

SERVICE: Final = "glue"
START: Final = "glue:StartJobRun"
GET: Final = "glue:GetJobRun"
STOP: Final = "glue:BatchStopJobRun"
LIST: Final = "glue:GetJobRuns"

LEASE_ARGUMENT: Final = "--penstock_lease"
"""The argument that names a run: Glue's runs have no names of their own."""

_CLOCKS: Final = timedelta(minutes=5)
"""How much our clock and that of AWS may differ."""

_STATES: Final = {
    "WAITING": SparkState.WAITING,
    "STARTING": SparkState.WAITING,
    "RUNNING": SparkState.RUNNING,
    "STOPPING": SparkState.STOPPING,
    "SUCCEEDED": SparkState.SUCCEEDED,
    "FAILED": SparkState.FAILED,
    "ERROR": SparkState.FAILED,
    "TIMEOUT": SparkState.FAILED,
    "EXPIRED": SparkState.FAILED,
    "STOPPED": SparkState.STOPPED,
}


class GlueJobs:
    """Starts, looks at and stops runs of a job that the operator has defined."""

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
        await self._clients.run(lambda: self._stop(run), operation=STOP)

    async def find(self, *, region: str, application: str, name: str, since: datetime) -> SparkRun | None:
        """Find the run of a name that was started since an instant. Raises as `start`."""
        return await self._clients.run(lambda: self._find(region, application, name, since), operation=LIST)

    def _start(self, request: SparkStart) -> SparkRun:
        arguments = dict(zip(request.arguments[::2], request.arguments[1::2], strict=True))
        if request.properties:
            # AWS: Glue has one argument for all properties, joined by ` --conf `.
            arguments["--conf"] = " --conf ".join(f"{name}={value}" for name, value in request.properties)
        arguments[LEASE_ARGUMENT] = request.name
        client: Any = self._clients.own(SERVICE, request.region)
        answer = client.start_job_run(
            JobName=request.application,
            Arguments=arguments,
            Timeout=request.minutes,
            ExecutionRoleSessionPolicy=request.session_policy,
        )
        if not answer.get("JobRunId"):
            raise as_error(Failure.UNREACHABLE, detail=f"{START}: the answer names no run")
        return SparkRun(region=request.region, application=request.application, run_id=str(answer["JobRunId"]))

    def _state(self, run: SparkRun) -> SparkState:
        client: Any = self._clients.own(SERVICE, run.region)
        try:
            answer = client.get_job_run(JobName=run.application, RunId=run.run_id)
        except client.exceptions.EntityNotFoundException:
            return SparkState.STOPPED  # the job was deleted, or its run is very old
        state = _STATES.get(str(answer.get("JobRun", {}).get("JobRunState")))
        if state is None:
            raise as_error(Failure.UNREACHABLE, detail=f"{GET}: the answer has a state that is not known")
        return state

    def _stop(self, run: SparkRun) -> None:
        client: Any = self._clients.own(SERVICE, run.region)
        answer = client.batch_stop_job_run(JobName=run.application, JobRunIds=[run.run_id])
        # AWS: one that has ended is an error of its own within an answer that succeeded.
        if answer.get("Errors") and not self._state(run).ended:
            raise as_error(Failure.UNREACHABLE, detail=f"{STOP}: the run goes on")

    def _find(self, region: str, application: str, name: str, since: datetime) -> SparkRun | None:
        client: Any = self._clients.own(SERVICE, region)
        # AWS: the newest come first.
        for page in client.get_paginator("get_job_runs").paginate(JobName=application):
            for run in page["JobRuns"]:
                if run["StartedOn"] < since - _CLOCKS:
                    return None
                if run.get("Arguments", {}).get(LEASE_ARGUMENT) == name:
                    return SparkRun(region=region, application=application, run_id=str(run["Id"]))
        return None
