"""What is asked of the door for Spark jobs, what it answers, and every limit of a request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from penstock_server.credentials.arns import parse_s3_arn
from penstock_server.credentials.covered import Covered
from penstock_server.credentials.requests import AwsCredentialRequest
from penstock_server.credentials.spark_properties import FILES, is_allowed
from penstock_server.errors import InvalidRequest
from penstock_server.model.decision import PolicyVersion
from penstock_server.model.lease import LeaseId
from penstock_server.model.resource import S3Location, S3Permission
from penstock_server.model.spark import SparkKind

MAX_ARGUMENTS: Final = 256
MAX_ARGUMENT_CHARS: Final = 4_096
MAX_PROPERTIES: Final = 64
MAX_PROPERTY_CHARS: Final = 1_024
MAX_ALL_PROPERTIES_CHARS: Final = 32_768
MAX_ENTRY_POINT_CHARS: Final = 1_200

_PLATFORM: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}", re.ASCII)
# SECURITY: the service splits all properties at spaces and reads quotes; no value may become a second option.
_PROPERTY: Final = re.compile(r"spark\.[A-Za-z0-9_.-]{1,200}", re.ASCII)
_VALUE: Final = re.compile(r"[A-Za-z0-9_.,:/=+@%-]+", re.ASCII)
_OBJECT: Final = re.compile(r"s3://([^/]+)/(.*[^/])")
_GLUE_ARGUMENT: Final = re.compile(r"--[A-Za-z][A-Za-z0-9_]{0,99}", re.ASCII)
# SECURITY: these are no arguments of the program: Glue takes them as its own, and some of them replace the program,
# fetch other code with the job's role, or switch a governed mode on. What begins with `--` and has a hyphen is Glue's.
_GLUES_OWN: Final = frozenset({"--conf", "--debug", "--mode", "--scriptLocation", "--TempDir", "--JOB_NAME"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkJobRequest:
    """Asks for one Spark job, as the caller wrote it: nothing is validated yet.

    `scope` is what a session would be asked for. `entry_point` is an `s3://` URI of the program (EMR Serverless alone;
    Glue's job has its own); `properties` are (name, value) pairs of Spark.
    """

    platform: str
    scope: AwsCredentialRequest
    entry_point: str
    arguments: tuple[str, ...]
    properties: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedSparkJob:
    """A job that was started; `session_policy` is the exact text under which it runs."""

    lease_id: LeaseId
    application: str
    run_id: str
    expires_at: datetime
    session_policy: str
    scope: str
    role_arn: str
    revocable: str
    grants: tuple[str, ...]
    policy_version: PolicyVersion


def validate_platform(platform: str) -> None:
    """Check the form of a platform's name.

    Raises:
        InvalidRequest: it has none.
    """
    if _PLATFORM.fullmatch(platform) is None:
        raise InvalidRequest("platform", "must be a platform's name: a letter, then up to 62 letters, digits, `_`, `-`")


def validate_job(request: SparkJobRequest, kind: SparkKind) -> None:
    """Check the shape of a job; its scope is checked as a session's is.

    Raises:
        InvalidRequest: names the field and the rule.
    """
    if len(request.entry_point) > MAX_ENTRY_POINT_CHARS:
        raise InvalidRequest("entry_point", f"must have at most {MAX_ENTRY_POINT_CHARS} characters")
    if len(request.arguments) > MAX_ARGUMENTS:
        raise InvalidRequest("arguments", f"must hold at most {MAX_ARGUMENTS}")
    for index, argument in enumerate(request.arguments):
        # A control character could end a line of a log, or of a file in which the service hands arguments on.
        if len(argument) > MAX_ARGUMENT_CHARS or not argument.isprintable():
            rule = f"must have at most {MAX_ARGUMENT_CHARS} printable characters"
            raise InvalidRequest(f"arguments[{index}]", rule)
    if kind is SparkKind.GLUE:
        _validate_glue(request)
    _validate_properties(request.properties)


def require_readable_program(request: SparkJobRequest, kind: SparkKind, covered: Covered) -> None:
    """Check that the program, and each file that properties name, lie within what the job may read.

    Raises:
        InvalidRequest: one does not; the job would fail, and it must not be fetched by anything wider.
    """
    if kind is SparkKind.EMR_SERVERLESS:
        _require_readable("entry_point", request.entry_point, covered)
    for name, value in request.properties:
        if name in FILES:
            for uri in value.split(","):
                _require_readable(f"properties[{name}]", uri, covered)


def _validate_glue(request: SparkJobRequest) -> None:
    if request.entry_point:
        raise InvalidRequest("entry_point", "must be left out: the job of this platform has a program of its own")
    if len(request.arguments) % 2:
        raise InvalidRequest("arguments", "must be pairs of a name `--name` and a value, as Glue takes them")
    names = request.arguments[::2]
    for index, name in enumerate(names):
        if _GLUE_ARGUMENT.fullmatch(name) is None or name in _GLUES_OWN or name.startswith("--penstock"):
            rule = "must be `--name` with letters, digits and `_`, and none that Glue takes as its own"
            raise InvalidRequest(f"arguments[{2 * index}]", rule)
    if len(set(names)) != len(names):
        raise InvalidRequest("arguments", "must hold each name once")


def _validate_properties(properties: tuple[tuple[str, str], ...]) -> None:
    if len(properties) > MAX_PROPERTIES:
        raise InvalidRequest("properties", f"must hold at most {MAX_PROPERTIES}")
    if sum(len(name) + len(value) for name, value in properties) > MAX_ALL_PROPERTIES_CHARS:
        raise InvalidRequest("properties", f"must have at most {MAX_ALL_PROPERTIES_CHARS} characters together")
    for name, value in properties:
        if _PROPERTY.fullmatch(name) is None or not (is_allowed(name) or name in FILES):
            raise InvalidRequest(
                "properties",
                "must hold properties of Spark that may be set, and this is none of them",
                hint="settings of the program, sizes, and files within the scope may be set; see the guide for Spark",
            )
        if _VALUE.fullmatch(value) is None or len(value) > MAX_PROPERTY_CHARS:
            rule = f"must have 1 to {MAX_PROPERTY_CHARS} letters, digits or `_.,:/=+@%-`"
            raise InvalidRequest(f"properties[{name}]", rule)
    if len({name for name, _ in properties}) != len(properties):
        raise InvalidRequest("properties", "must hold each name once")


def _require_readable(field: str, uri: str, covered: Covered) -> None:
    found = _OBJECT.fullmatch(uri)
    if found is None:
        raise InvalidRequest(field, "must be an object `s3://BUCKET/KEY`")
    place = S3Location(bucket=found[1], key=found[2])
    # The same strict reading that every ARN has: names of buckets, keys without `.` and `..` as parts.
    asked = parse_s3_arn(f"arn:aws:s3:::{place.bucket}/{place.key}", field=field)
    readable = any(
        S3Permission.READ in scope.permissions
        and scope.location.bucket == place.bucket
        and (place.key == scope.location.key if scope.exact else place.key.startswith(scope.location.key))
        for scope in covered.scopes
    )
    if not asked.exact or not readable:
        raise InvalidRequest(
            field,
            "must be an object within what the job is asked to read",
            hint="add its ARN, or that of its prefix, to `resources`",
        )
