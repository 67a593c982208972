"""Spark jobs on AWS Glue, each run under a session policy of its own.

Source: https://docs.aws.amazon.com/glue/latest/webapi/API_StartJobRun.html (`ExecutionRoleSessionPolicy`: an inline
session policy, so what the run may do is the intersection of the job's role and this).
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from penstock_server.aws.errors import Failure, as_error
from penstock_server.aws.spark_runs import CLOCKS, Operations, SparkRuns
from penstock_server.model.spark import SparkRun, SparkStart, SparkState

LEASE_ARGUMENT: Final = "--penstock_lease"
"""The argument that names a run: Glue's runs have no names of their own."""

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
_OPERATIONS: Final = Operations(
    service="glue",
    start="glue:StartJobRun",
    get="glue:GetJobRun",
    stop="glue:BatchStopJobRun",
    find="glue:GetJobRuns",
    states=_STATES,
)


class GlueJobs(SparkRuns):
    """Starts, looks at and stops runs of a job that the operator has defined."""

    operations = _OPERATIONS

    def _start(self, request: SparkStart) -> SparkRun:
        arguments = dict(zip(request.arguments[::2], request.arguments[1::2], strict=True))
        if request.properties:
            # AWS: Glue has one argument for all properties, joined by ` --conf `.
            arguments["--conf"] = " --conf ".join(f"{name}={value}" for name, value in request.properties)
        arguments[LEASE_ARGUMENT] = request.name
        client = self._client(request.region)
        answer = client.start_job_run(
            JobName=request.application,
            Arguments=arguments,
            Timeout=request.minutes,
            ExecutionRoleSessionPolicy=request.session_policy,
        )
        if not answer.get("JobRunId"):
            raise as_error(Failure.UNREACHABLE, detail=f"{_OPERATIONS.start}: the answer names no run")
        return SparkRun(region=request.region, application=request.application, run_id=str(answer["JobRunId"]))

    def _state(self, run: SparkRun) -> SparkState:
        client = self._client(run.region)
        try:
            answer = client.get_job_run(JobName=run.application, RunId=run.run_id)
        except client.exceptions.EntityNotFoundException:
            return SparkState.STOPPED  # the job was deleted, or its run is very old
        return self._read_state(answer.get("JobRun", {}).get("JobRunState"))

    def _stop(self, run: SparkRun) -> None:
        client = self._client(run.region)
        answer = client.batch_stop_job_run(JobName=run.application, JobRunIds=[run.run_id])
        # AWS: one that has ended is an error of its own within an answer that succeeded.
        if answer.get("Errors") and not self._state(run).ended:
            raise as_error(Failure.UNREACHABLE, detail=f"{_OPERATIONS.stop}: the run goes on")

    def _find(self, region: str, application: str, name: str, since: datetime) -> str | None:
        client = self._client(region)
        # AWS: the newest come first.
        for page in client.get_paginator("get_job_runs").paginate(JobName=application):
            for run in page["JobRuns"]:
                if run["StartedOn"] < since - CLOCKS:
                    return None
                if run.get("Arguments", {}).get(LEASE_ARGUMENT) == name:
                    return str(run["Id"])
        return None
