"""Nouns of Spark jobs that are run under a person's scope."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum, unique

from penstock_server.model.lease import LeaseId, LeaseStatus


@unique
class SparkKind(StrEnum):
    """A service that runs Spark jobs, and takes a session policy with each."""

    EMR_SERVERLESS = "emr-serverless"
    GLUE = "glue"


@unique
class SparkState(Enum):
    """Where a job stands, in words that both services share."""

    WAITING = "waiting"
    RUNNING = "running"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def ended(self) -> bool:
        """Whether nothing of the job runs any more."""
        return self in (SparkState.SUCCEEDED, SparkState.FAILED, SparkState.STOPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkRun:
    """One run: `application` is EMR Serverless's application id, or the name of Glue's job."""

    region: str
    application: str
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkStart:
    """What is sent to start a run; its door has validated every limit, and proved the session policy.

    `entry_point` is an `s3://` URI, "" where the platform has the program (Glue); `arguments` go to the program;
    `properties` are Spark's, each allowed by its name; `minutes` bounds the run; `token` makes a repeated call
    harmless, and `name` shows which lease it is.
    """

    region: str
    application: str
    role_arn: str
    session_policy: str
    entry_point: str
    arguments: tuple[str, ...]
    properties: tuple[tuple[str, str], ...]
    minutes: int
    token: str
    name: str
    tags: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRun:
    """What the state keeps of a run: written before it is asked for, so that none is without one.

    `run_id` is "" while no answer came. `status` is that of its lease, None where the lease is gone; `lives` tells
    whether that has not ended either.
    """

    lease_id: LeaseId
    platform: str
    region: str
    application: str
    run_id: str
    begun_at: datetime
    status: LeaseStatus | None
    lives: bool

    @property
    def run(self) -> SparkRun:
        """The run, as its service names it."""
        return SparkRun(region=self.region, application=self.application, run_id=self.run_id)
