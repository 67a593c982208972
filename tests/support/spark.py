"""The door for Spark jobs over a real policy, real state and a stand-in for EMR Serverless and Glue."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.validate import ParamValidator
from moto.emrserverless.models import emrserverless_backends
from penstock_server.aws.clients import AwsClients
from penstock_server.aws.emr_serverless import EmrServerlessJobs
from penstock_server.aws.glue_jobs import GlueJobs
from penstock_server.config.settings import SparkSettings
from penstock_server.credentials.spark_ends import SparkReaper
from penstock_server.credentials.spark_jobs import SparkJobDoor
from penstock_server.credentials.spark_requests import SparkJobRequest
from penstock_server.model.ports import SparkJobs
from penstock_server.model.spark import SparkKind
from penstock_server.policy.bound import BoundPolicy

from support.credentials import REGION, CallRecorder, Doors, aws_request, doors
from support.tokens import SteppedClock

PROGRAM = "s3://acme-lake/finance/jobs/report.py"
GLUE_JOB = "nightly"


@dataclass(slots=True, kw_only=True)
class SparkBench:
    """The door, what stops its runs, and the session door beside it. `woken` counts calls for a turn at once."""

    door: SparkJobDoor
    reaper: SparkReaper
    services: Mapping[SparkKind, SparkJobs]
    doors: Doors
    woken: list[str]
    application: str


def platforms(application: str, *, max_ttl: timedelta = timedelta(hours=12)) -> tuple[SparkSettings, ...]:
    """One platform of each kind."""
    kinds = ((SparkKind.EMR_SERVERLESS, "batch", application), (SparkKind.GLUE, "etl", GLUE_JOB))
    return tuple(
        SparkSettings(name=name, kind=kind, application=where, region=REGION, role="lake-reader", max_ttl=max_ttl)
        for kind, name, where in kinds
    )


def job(*resources: str, platform: str = "batch", entry_point: str = PROGRAM, **changes: Any) -> SparkJobRequest:
    """A request for a job; `arguments` and `properties` are the job's, the others its scope's."""
    arguments: Sequence[str] = changes.pop("arguments", ())
    properties: Mapping[str, str] = changes.pop("properties", {})
    return SparkJobRequest(
        platform=platform,
        scope=aws_request(*(resources or ("arn:aws:s3:::acme-lake/finance/*",)), **changes),
        entry_point=entry_point,
        arguments=tuple(arguments),
        properties=tuple(properties.items()),
    )


@contextmanager
def spark_bench(
    folder: Path,
    policy: BoundPolicy,
    *,
    endpoint_url: str,
    clock: SteppedClock,
    application: str,
    policies: Callable[[], BoundPolicy] | None = None,
    **changes: Any,
) -> Iterator[SparkBench]:
    """Both doors over one state, whose calls go to the endpoint."""
    recorder, woken = CallRecorder(), list[str]()
    clients = AwsClients(recorder.session(), endpoint_url=endpoint_url)
    services: dict[SparkKind, SparkJobs] = {
        SparkKind.EMR_SERVERLESS: EmrServerlessJobs(clients),
        SparkKind.GLUE: GlueJobs(clients),
    }
    settings = platforms(application)
    opened = doors(
        folder, policy, endpoint_url=endpoint_url, clock=clock, recorder=recorder, policies=policies, **changes
    )
    with opened as both:
        yield SparkBench(
            door=SparkJobDoor(
                platforms=settings,
                planner=both.aws.planner,
                services=services,
                runs=both.state.spark_runs,
                policies=policies or (lambda: policy),
                leases=both.state.leases,
                revocations=both.state.revocations,
                audit=both.audit,
                clock=clock,
                random_bytes=secrets.token_bytes,
                wake=lambda: woken.append("woken"),
            ),
            reaper=SparkReaper(
                platforms={each.name: each for each in settings},
                services=services,
                runs=both.state.spark_runs,
                clock=clock,
            ),
            services=services,
            doors=both,
            woken=woken,
            application=application,
        )
    clients.close()


def application_at(endpoint_url: str) -> str:
    """Make an application of EMR Serverless, and the job of Glue where it is not there."""
    session = boto3.session.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
    glue = session.client("glue", endpoint_url=endpoint_url)
    if not any(found["Name"] == GLUE_JOB for found in glue.get_jobs()["Jobs"]):
        glue.create_job(Name=GLUE_JOB, Role="r", Command={"Name": "glueetl"})
    client = session.client("emr-serverless", endpoint_url=endpoint_url)
    made = client.create_application(name="batch", releaseLabel="emr-7.0.0", type="SPARK")
    return str(made["applicationId"])


def keep_running(application: str) -> None:
    """Let the runs of an application go on: those of the stand-in are over as soon as they begin."""
    for run in emrserverless_backends["123456789012"][REGION].job_runs.get(application, ()):
        run.state = "RUNNING"
        run.created_at += timedelta(days=1)  # the stand-in has the day alone


def breaches_of_the_model(service: str, operation: str, parameters: Mapping[str, Any]) -> list[str]:
    """What AWS's own model says against parameters: types and names, and also lengths, patterns and enumerations.

    Patterns with escapes of code points beyond ASCII are left out: botocore's text of them is not Python's.
    """
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    assert shape is not None
    report = ParamValidator().validate(dict(parameters), shape)
    found = [report.generate_report()] if report.has_errors() else []
    return found + list(_breaches(shape, parameters, operation))


def _breaches(shape: Shape | None, value: Any, place: str) -> Iterator[str]:
    if shape is None:
        return
    yield from _limits_broken(shape, value, place)
    if isinstance(shape, StructureShape):
        for name, each in value.items():
            yield from _breaches(shape.members[name], each, f"{place}.{name}")
    elif isinstance(shape, ListShape):
        for each in value:
            yield from _breaches(shape.member, each, f"{place}[]")
    elif isinstance(shape, MapShape):
        for name, each in value.items():
            yield from _breaches(shape.key, name, f"{place} name")
            yield from _breaches(shape.value, each, f"{place}.{name}")


def _limits_broken(shape: Shape, value: Any, place: str) -> Iterator[str]:
    limits = shape.metadata
    size = value if isinstance(value, int) else len(value) if isinstance(value, str | list | dict | tuple) else None
    if size is not None and not limits.get("min", size) <= size <= limits.get("max", size):
        yield f"{place}: {size} is not within {limits}"
    if "enum" in limits and value not in limits["enum"]:
        yield f"{place}: {value} is none of {limits['enum']}"
    pattern = limits.get("pattern")
    if pattern and pattern.isascii() and "\\u" not in pattern and re.fullmatch(pattern, value) is None:
        yield f"{place}: {value!r} is not {pattern}"
