"""Spark jobs over a real policy, real state and a stand-in for AWS that keeps what it was asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from penstock_server.credentials.grounds_of_leases import read_grounds
from penstock_server.credentials.spark_ends import SHOWS_WITHIN, STARTS_WITHIN
from penstock_server.errors import (
    AccessDenied,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PenstockError,
    Reason,
    Unavailable,
)
from penstock_server.model.audit import Event
from penstock_server.model.decision import Access
from penstock_server.model.lease import LeaseId, LeaseStatus
from penstock_server.model.resource import Door
from penstock_server.model.spark import SparkKind
from penstock_server.policy.bound import BoundPolicy
from support.credentials import at, bound_policy, principal, role, table
from support.iam import Verdict, evaluate
from support.spark import SparkBench, application_at, breaches_of_the_model, job, keep_running, spark_bench
from support.tokens import SteppedClock, request_context

B = "arn:aws:s3:::acme-lake"
POLICY = """
grants:
  - {name: lake-files, principals: ["group:analysts"], resource: "arn:aws:s3:::acme-lake/*", permissions: [READ, LIST]}
  - {name: drop-box, principals: ["group:analysts"], resource: "arn:aws:s3:::acme-lake/in/*", permissions: [WRITE]}
  - {name: far, principals: ["group:analysts"], resource: "arn:aws:s3:::acme-far/*", permissions: [READ]}
"""
NARROWER = """
grants:
  - {name: lake-files, principals: ["group:analysts"], resource: "arn:aws:s3:::acme-lake/other/*", permissions: [READ]}
"""
ALICE = principal("alice", "analysts")
CONTEXT = request_context()
UUID = "7f1c9c1e-9d8a-4d0e-8f0a-2b9f0d3c4e5f"


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(instant=datetime.now(UTC))


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> BoundPolicy:
    people = table("hr.people", at("curated/hr/people"))
    return bound_policy(tmp_path_factory.mktemp("policy"), POLICY, people)


@pytest.fixture
def application(aws_url: str) -> str:
    return application_at(aws_url)


MOTOS_ACCOUNT = "123456789012"
"""Where the stand-in's applications are; it lets no role of another account be passed."""
ROLE_ARN = f"arn:aws:iam::{MOTOS_ACCOUNT}:role/penstock-lake-reader"
ROLES = (
    role(arn=ROLE_ARN),
    role("far", arn=f"arn:aws:iam::{MOTOS_ACCOUNT}:role/far", serves=("arn:aws:s3:::acme-far/*",)),
)


@pytest.fixture
def bench(
    tmp_path: Path, policy: BoundPolicy, aws_url: str, clock: SteppedClock, application: str
) -> Iterator[SparkBench]:
    opened = spark_bench(tmp_path, policy, endpoint_url=aws_url, clock=clock, application=application, roles=ROLES)
    with opened as found:
        yield found


def started(bench: SparkBench) -> list[dict[str, Any]]:
    return [parameters for name, parameters in bench.doors.recorder.calls if name == "StartJobRun"]


async def refused(bench: SparkBench, request: Any) -> PenstockError:
    with pytest.raises(PenstockError) as failed:
        await bench.door.start(ALICE, request, CONTEXT)
    assert bench.doors.recorder.calls == []
    (record,) = bench.doors.audit.records
    assert record.event is Event.CREDENTIALS_REFUSED
    assert await bench.doors.state.spark_runs.page(after="", limit=9) == ()
    return failed.value


async def test_a_job_is_started_with_exactly_these_parameters(bench: SparkBench, application: str) -> None:
    request = job(
        ttl=timedelta(hours=10),
        arguments=("--day", "2026-11-24 'quoted'"),
        properties={"spark.executor.memory": "4g", "spark.jars": "s3://acme-lake/finance/jobs/a.jar"},
    )
    answer = await bench.door.start(ALICE, request, CONTEXT)
    (sent,) = started(bench)
    assert sent == {
        "applicationId": application,
        "clientToken": f"penstock-{answer.lease_id}",
        "executionRoleArn": ROLE_ARN,
        "executionIamPolicy": {"policy": answer.session_policy},
        "jobDriver": {
            "sparkSubmit": {
                "entryPoint": "s3://acme-lake/finance/jobs/report.py",
                "entryPointArguments": ["--day", "2026-11-24 'quoted'"],
                "sparkSubmitParameters": "--conf spark.executor.memory=4g"
                " --conf spark.jars=s3://acme-lake/finance/jobs/a.jar",
            }
        },
        "executionTimeoutMinutes": 600,
        "name": f"penstock-{answer.lease_id}",
        "mode": "BATCH",
        "retryPolicy": {"maxAttempts": 1},
        "tags": {"penstock:lease": answer.lease_id},
    }
    assert breaches_of_the_model("emr-serverless", "StartJobRun", sent) == []
    assert answer.revocable.startswith("yes")
    assert bench.doors.audit.events() == (Event.CREDENTIALS_REQUESTED, Event.CREDENTIALS_ISSUED)
    assert bench.doors.audit.detail(Event.CREDENTIALS_ISSUED, "run") == answer.run_id
    lease = await bench.doors.state.leases.find(answer.lease_id)
    assert lease is not None
    assert (lease.door, lease.status, lease.role) == (Door.SPARK, LeaseStatus.ISSUED, ROLE_ARN)


async def test_the_policy_of_a_job_gives_its_prefix_until_its_end_and_nothing_beside_it(
    bench: SparkBench, clock: SteppedClock
) -> None:
    answer = await bench.door.start(ALICE, job(ttl=timedelta(hours=2)), CONTEXT)

    def verdict(resource: str, when: datetime) -> Verdict:
        keys = {"aws:ResourceAccount": MOTOS_ACCOUNT, "aws:CurrentTime": when.strftime("%Y-%m-%dT%H:%M:%SZ")}
        return evaluate(answer.session_policy, action="s3:GetObject", resource=resource, context=keys)

    now = clock.now()
    assert verdict(f"{B}/finance/a", now) is Verdict.ALLOWED
    assert verdict(f"{B}/hr/a", now) is Verdict.EXPLICITLY_DENIED
    assert verdict(f"{B}/finance/a", now + timedelta(hours=2, seconds=1)) is Verdict.EXPLICITLY_DENIED
    assert abs(answer.expires_at - now - timedelta(hours=2)) < timedelta(seconds=2)


async def test_a_session_of_the_same_request_has_no_end_in_its_policy_and_lives_an_hour_at_most(
    bench: SparkBench,
) -> None:
    issued = await bench.doors.aws.issue(ALICE, job(ttl=timedelta(hours=2)).scope, CONTEXT)
    assert "aws:CurrentTime" not in issued.session_policy
    assert bench.doors.recorder.only("AssumeRole")["DurationSeconds"] == 3600


async def test_glue_gets_the_policy_the_time_and_the_lease(bench: SparkBench) -> None:
    request = job(
        platform="etl", entry_point="", arguments=("--day", "x y"), properties={"spark.sql.ansi.enabled": "true"}
    )
    answer = await bench.door.start(ALICE, request, CONTEXT)
    (sent,) = started(bench)
    assert sent == {
        "JobName": "nightly",
        "Arguments": {
            "--day": "x y",
            "--conf": "spark.sql.ansi.enabled=true",
            "--penstock_lease": f"penstock-{answer.lease_id}",
        },
        "Timeout": 60,
        "ExecutionRoleSessionPolicy": answer.session_policy,
    }
    assert breaches_of_the_model("glue", "StartJobRun", sent) == []
    assert "aws:CurrentTime" in answer.session_policy


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"entry_point": "s3://acme-lake/hr/report.py"}, "entry_point"),
        ({"entry_point": "s3://acme-lake/finance2/report.py"}, "entry_point"),
        ({"entry_point": "s3://acme-other/finance/report.py"}, "entry_point"),
        ({"entry_point": "s3://acme-lake/finance/"}, "entry_point"),
        ({"entry_point": "s3://acme-lake/finance/*"}, "entry_point"),
        ({"entry_point": "https://acme-lake/finance/report.py"}, "entry_point"),
        ({"entry_point": "local:///usr/lib/report.py"}, "entry_point"),
        ({"entry_point": ""}, "entry_point"),
        ({"properties": {"spark.jars": "s3://acme-lake/hr/a.jar"}}, "properties[spark.jars]"),
        ({"properties": {"spark.jars": "s3://acme-lake/finance/a.jar,file:///b.jar"}}, "properties[spark.jars]"),
        ({"properties": {"spark.emr-serverless.lakeformation.enabled": "true"}}, "properties"),
        ({"properties": {"spark.emr-serverless.executor.image": "x"}}, "properties"),
        ({"properties": {"spark.jars.packages": "a:b:1"}}, "properties"),
        ({"properties": {"spark.sql.": "1"}}, "properties"),
        ({"properties": {"spark.hadoop.fs.s3.customAWSCredentialsProvider": "x"}}, "properties"),
        ({"properties": {"spark.app.name": "a --conf x=y"}}, "properties[spark.app.name]"),
        ({"properties": {"spark.app.name": "a'b"}}, "properties[spark.app.name]"),
        ({"properties": {"spark.app.name": "a\n"}}, "properties[spark.app.name]"),
        ({"properties": {"spark.app.name": ""}}, "properties[spark.app.name]"),
        ({"properties": {"spark.sql.a b": "1"}}, "properties"),
        ({"arguments": ("a\nb",)}, "arguments[0]"),
        ({"arguments": ("a",) * 257}, "arguments"),
        ({"platform": "etl"}, "entry_point"),
        ({"platform": "etl", "entry_point": "", "arguments": ("--x",)}, "arguments"),
        ({"platform": "etl", "entry_point": "", "arguments": ("--conf", "x")}, "arguments[0]"),
        ({"platform": "etl", "entry_point": "", "arguments": ("--extra-py-files", "s3://x/y")}, "arguments[0]"),
        ({"platform": "etl", "entry_point": "", "arguments": ("--scriptLocation", "s3://x/y")}, "arguments[0]"),
        ({"platform": "etl", "entry_point": "", "arguments": ("--penstock_lease", "x")}, "arguments[0]"),
        ({"ttl": timedelta(hours=13)}, "ttl"),
        ({"request_id": "x"}, "request_id"),
    ],
    ids=str,
)
async def test_what_a_job_may_not_ask_is_refused_by_its_field(
    bench: SparkBench, changes: dict[str, Any], field: str
) -> None:
    error = await refused(bench, job(**changes))
    assert isinstance(error, InvalidRequest)
    assert error.fields[0].field == field


async def test_a_program_that_may_only_be_written_is_refused(bench: SparkBench) -> None:
    request = job(f"{B}/in/*", access=(Access.WRITE,), entry_point="s3://acme-lake/in/report.py")
    error = await refused(bench, request)
    assert isinstance(error, InvalidRequest)


async def test_what_policy_refuses_a_session_it_refuses_a_job(bench: SparkBench) -> None:
    error = await refused(bench, job(f"{B}/curated/*", entry_point="s3://acme-lake/curated/x.py"))
    assert isinstance(error, AccessDenied)
    assert error.reason is Reason.LOCATION_CLOSED


async def test_a_platform_whose_role_does_not_serve_the_scope_is_refused(bench: SparkBench) -> None:
    error = await refused(bench, job("arn:aws:s3:::acme-far/x/*", entry_point="s3://acme-far/x/a.py"))
    assert error.reason is Reason.NOT_CONFIGURED


async def test_an_unknown_platform_is_not_found(bench: SparkBench) -> None:
    assert isinstance(await refused(bench, job(platform="other")), NotFound)


async def test_a_job_ends_with_its_token(bench: SparkBench, clock: SteppedClock) -> None:
    short = principal("alice", "analysts", token_ends=clock.now() + timedelta(minutes=10))
    with pytest.raises(LimitExceeded):
        await bench.door.start(short, job(), CONTEXT)
    half = principal("alice", "analysts", token_ends=clock.now() + timedelta(minutes=30))
    await bench.door.start(half, job(ttl=timedelta(hours=5)), CONTEXT)
    (sent,) = started(bench)
    assert sent["executionTimeoutMinutes"] == 30


async def test_a_repeated_request_starts_no_second_job(bench: SparkBench) -> None:
    await bench.door.start(ALICE, job(request_id=UUID), CONTEXT)
    with pytest.raises(InvalidRequest, match="used before"):
        await bench.door.start(ALICE, job(request_id=UUID), CONTEXT)
    with pytest.raises(InvalidRequest, match="another request"):
        await bench.door.start(ALICE, job(request_id=UUID, arguments=("other",)), CONTEXT)
    assert len(started(bench)) == 1


@pytest.mark.parametrize("platform", ["batch", "etl"])
async def test_a_revoked_job_is_stopped_and_forgotten_once_it_has_ended(bench: SparkBench, platform: str) -> None:
    answer = await bench.door.start(ALICE, job(platform=platform, entry_point=entry(platform)), CONTEXT)
    runs = bench.doors.state.spark_runs
    keep_running(bench.application)
    assert (await bench.reaper.turn()).stopped == ()  # its lease lives
    await bench.doors.state.revocations.revoke_lease(answer.lease_id, cause="x", recorded=True)
    kept = await runs.find(answer.lease_id)
    assert kept is not None
    service = bench.services[SparkKind.EMR_SERVERLESS if platform == "batch" else SparkKind.GLUE]
    if not (await service.state(kept.run)).ended:
        assert (await bench.reaper.turn()).stopped == (answer.lease_id,)
    assert (await service.state(kept.run)).ended
    await bench.reaper.turn()
    assert await runs.find(answer.lease_id) is None


def entry(platform: str) -> str:
    return "s3://acme-lake/finance/a.py" if platform == "batch" else ""


@pytest.mark.parametrize("whose", ["person", "role"])
async def test_a_revoked_person_or_role_ends_the_jobs(bench: SparkBench, whose: str) -> None:
    answer = await bench.door.start(ALICE, job(), CONTEXT)
    revocations = bench.doors.state.revocations
    if whose == "role":
        await revocations.revoke_role(ROLE_ARN, cause="x", recorded=True)
    else:
        lease = await bench.doors.state.leases.find(answer.lease_id)
        assert lease is not None
        await revocations.revoke_person(
            issuer=ALICE.issuer,
            subject=ALICE.subject,
            source_identity=lease.source_identity,
            cause="x",
            recorded=True,
        )
    keep_running(bench.application)
    assert (await bench.reaper.turn()).stopped == (answer.lease_id,)


async def test_a_job_whose_lease_has_ended_is_stopped(bench: SparkBench, clock: SteppedClock) -> None:
    answer = await bench.door.start(ALICE, job(), CONTEXT)
    keep_running(bench.application)
    clock.instant += timedelta(hours=1, minutes=6)
    await bench.doors.state.leases.clean()
    assert (await bench.reaper.turn()).stopped == (answer.lease_id,)


async def test_a_policy_that_changed_while_a_job_was_started_lets_none_out(
    tmp_path: Path, policy: BoundPolicy, aws_url: str, clock: SteppedClock, application: str
) -> None:
    narrower = bound_policy(tmp_path / "narrower", NARROWER)
    given = iter((policy,))
    opened = spark_bench(
        tmp_path,
        policy,
        endpoint_url=aws_url,
        clock=clock,
        application=application,
        policies=lambda: next(given, narrower),
        roles=ROLES,
    )
    with opened as bench:
        with pytest.raises(Unavailable) as failed:
            await bench.door.start(ALICE, job(), CONTEXT)
        assert failed.value.reason is Reason.CREDENTIAL_WITHDRAWN
        assert bench.woken
        keep_running(application)
        assert len((await bench.reaper.turn()).stopped) == 1


async def test_a_job_that_the_policy_would_not_give_any_more_is_told_by_the_recheck(
    bench: SparkBench, policy: BoundPolicy, tmp_path: Path
) -> None:
    answer = await bench.door.start(ALICE, job(), CONTEXT)
    lease = await bench.doors.state.leases.find(answer.lease_id)
    assert lease is not None
    grounds = read_grounds(lease.grounds)
    assert bench.door.recheck(policy, lease, grounds) == ""
    assert bench.door.recheck(bound_policy(tmp_path / "narrower", NARROWER), lease, grounds) != ""


async def test_a_start_without_an_answer_is_found_by_its_name_and_stopped(
    bench: SparkBench, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = bench.doors.state.spark_runs

    async def lost(lease_id: LeaseId, run_id: str) -> None:
        raise Unavailable(Reason.STATE_UNAVAILABLE, "no state", retry_after_seconds=None)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "started", lost)
        with pytest.raises(Unavailable):
            await bench.door.start(ALICE, job(), CONTEXT)
    (kept,) = await runs.page(after="", limit=9)
    assert (kept.run_id, kept.status) == ("", LeaseStatus.FAILED)
    keep_running(bench.application)
    assert (await bench.reaper.turn()).stopped == (kept.lease_id,)
    assert bench.woken


async def test_a_start_that_was_cut_off_is_given_up_after_a_while(bench: SparkBench, clock: SteppedClock) -> None:
    runs = bench.doors.state.spark_runs
    answer = await bench.door.start(ALICE, job(), CONTEXT)
    other = LeaseId("0" * 32)
    kept = await runs.find(answer.lease_id)
    assert kept is not None
    await runs.begin(other, platform="batch", region=kept.region, application=kept.application)
    clock.instant += STARTS_WITHIN
    await bench.reaper.turn()
    assert await runs.find(other) is not None
    clock.instant += SHOWS_WITHIN
    await bench.reaper.turn()
    assert await runs.find(other) is None
    assert await runs.find(answer.lease_id) is not None


async def test_nothing_is_asked_of_aws_before_the_run_and_the_attempt_are_kept(bench: SparkBench) -> None:
    bench.doors.audit.broken_at = frozenset({Event.CREDENTIALS_REQUESTED})
    with pytest.raises(Unavailable):
        await bench.door.start(ALICE, job(), CONTEXT)
    assert bench.doors.recorder.calls == []


async def test_a_job_whose_outcome_cannot_be_recorded_is_not_answered(bench: SparkBench) -> None:
    bench.doors.audit.broken_at = frozenset({Event.CREDENTIALS_ISSUED})
    with pytest.raises(Unavailable):
        await bench.door.start(ALICE, job(), CONTEXT)
    assert bench.woken


async def test_arguments_are_in_no_record(bench: SparkBench) -> None:
    await bench.door.start(ALICE, job(arguments=("canary-argument",)), CONTEXT)
    assert "canary-argument" not in json.dumps([str(record) for record in bench.doors.audit.records])
