"""Each line of `doctor --aws` in its three outcomes, before an account whose faults are chosen."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest
from penstock_server.aws.clients import AwsClients
from penstock_server.aws.probes import Probes
from penstock_server.cli.doctor_checks.aws import identity, locations, resources, revocation, roles, warehouses
from penstock_server.cli.doctor_checks.finding import Finding, Verdict
from penstock_server.cli.main import run
from penstock_server.config.settings import AwsSettings, RevocationSettings
from penstock_server.credentials.roles import TargetRole, read_roles
from penstock_server.errors import Reason, Unavailable
from penstock_server.model.clock import SystemClock
from penstock_server.model.resource import S3Location
from support.credentials import ACCOUNT, REGION, CallRecorder, FixedSecrets, cluster, role
from support.obedient_account import (
    BOUNDARY,
    CANARY_KEY,
    ENCRYPTED,
    KEY,
    LISTED,
    NOTHING_LISTED,
    assumes,
    caller,
    json_reply,
    lists,
    obedient,
    policy,
    role_form,
    session,
    simulated,
)
from support.scripted_aws import Answer, Reply, ScriptedAws, refusal, scripted_aws, xml
from support.small_lake import write_world

TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/orders"
LAKE, ORDERS = read_roles(
    [role(), role("orders", arn=f"arn:aws:iam::{ACCOUNT}:role/orders", serves=(TABLE,))], FixedSecrets()
).roles
SETTINGS = AwsSettings(
    region=REGION,
    endpoint_url=None,
    roles=(role(),),
    revocation=RevocationSettings(role=f"arn:aws:iam::{ACCOUNT}:role/penstock-revoker", boundary=BOUNDARY),
    broker_role=f"arn:aws:iam::{ACCOUNT}:role/penstock-broker",
)
AWAY = Reply(body="<ErrorResponse><Error><Code>ValidationError</Code></Error></ErrorResponse>", status=400)
OK, FAILED, CANNOT = Verdict.OK, Verdict.FAILED, Verdict.CANNOT_KNOW

Changed = dict[tuple[str, str], Answer]
Look = Callable[[Probes], AsyncIterator[Finding]]


class Looking(Protocol):
    """Looks at an account."""

    async def __call__(self, at: Look, changed: Changed | None = None) -> list[Finding]:
        """Give what was found."""
        ...


@pytest.fixture(scope="module")
def aws() -> Iterator[ScriptedAws]:
    with scripted_aws({}) as scripted:
        yield scripted


@pytest.fixture(scope="module")
def probes(aws: ScriptedAws) -> Iterator[Probes]:
    clients = AwsClients(CallRecorder().session(), endpoint_url=aws.url)
    made = Probes(clients, region=REGION)
    yield made
    made.close()
    clients.close()


@pytest.fixture
def look(aws: ScriptedAws, probes: Probes) -> Iterator[Looking]:
    """Gives every finding of a check before an obedient account with some answers changed."""
    aws.calls.clear()

    async def found(at: Look, changed: Changed | None = None) -> list[Finding]:
        aws.script = obedient(changed)
        return [finding async for finding in at(probes)]

    yield found
    aws.now = lambda: datetime.now(UTC)


def one(findings: list[Finding], claim: str) -> Finding:
    (found,) = (finding for finding in findings if claim in finding.claim)
    assert (found.fix == "") == (found.verdict is OK), found
    return found


def of_role(settings: AwsSettings = SETTINGS, target: TargetRole = LAKE) -> Look:
    return lambda probes: roles.findings(probes, settings, target)


def of_identity(probes: Probes) -> AsyncIterator[Finding]:
    return identity.findings(probes, SETTINGS, clock=SystemClock())


def of_lake(probes: Probes) -> AsyncIterator[Finding]:
    return resources.findings(probes, LAKE)


def of_clusters(probes: Probes) -> AsyncIterator[Finding]:
    return warehouses.findings(probes, [cluster()])


def of_table(probes: Probes) -> AsyncIterator[Finding]:
    return locations.findings(probes, [("lake.nyc.flights", S3Location(bucket="acme-lake", key="nyc/flights"))], [LAKE])


async def test_an_account_as_it_should_be_has_nothing_but_ok(look: Looking) -> None:
    for at in (of_identity, of_role(), of_lake, of_table):
        findings = await look(at)
        assert findings
        assert [finding for finding in findings if finding.verdict is not OK] == []


async def test_nothing_is_asked_for_that_changes_anything(look: Looking, aws: ScriptedAws) -> None:
    for at in (of_identity, of_role(), of_lake, of_table, of_clusters):
        await look(at)
    asked = {call.operation for call in aws.calls}
    assert asked == {
        *("GetCallerIdentity", "AssumeRole", "SimulatePrincipalPolicy", "GetRole", "GetObject", "ListObjectsV2"),
        *("GetBucketAcl", "GetBucketPolicy", "GetBucketEncryption", "GetKeyPolicy", "ListGrants"),
        "GetClusterCredentials",
    }
    durations = {call.fields.get("DurationSeconds") for call in aws.calls if call.key != CANARY_KEY}
    assert durations <= {"900", None}


@pytest.mark.parametrize(
    ("claim", "changed", "verdict"),
    [
        ("runs as a role", {("sts", "GetCallerIdentity"): caller(f"arn:aws:iam::{ACCOUNT}:user/bob")}, FAILED),
        (
            "runs as a role",
            {("sts", "GetCallerIdentity"): caller(f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/x")},
            FAILED,
        ),
        ("runs as a role", {("sts", "GetCallerIdentity"): AWAY}, CANNOT),
        ("the region answers", {("sts", "GetCallerIdentity"): AWAY}, OK),
    ],
)
async def test_who_the_broker_is(look: Looking, claim: str, changed: Changed, verdict: Verdict) -> None:
    assert one(await look(of_identity, changed), claim).verdict is verdict


async def test_a_region_that_does_not_answer_is_told() -> None:
    clients = AwsClients(CallRecorder().session(), endpoint_url="http://127.0.0.1:9")
    try:
        findings = [finding async for finding in of_identity(Probes(clients, region=REGION))]
    finally:
        clients.close()
    assert one(findings, "the region answers").verdict is FAILED
    assert one(findings, "the clocks agree").verdict is CANNOT
    assert one(findings, "runs as a role").verdict is CANNOT


@pytest.mark.parametrize(("apart", "verdict"), [(10, OK), (40, FAILED), (-40, FAILED)])
async def test_clocks_that_are_apart_are_told(look: Looking, aws: ScriptedAws, apart: int, verdict: Verdict) -> None:
    aws.now = lambda: datetime.now(UTC) + timedelta(seconds=apart)
    assert one(await look(of_identity), "the clocks agree").verdict is verdict


async def test_long_term_keys_are_told_before_anything_is_asked() -> None:
    with scripted_aws(obedient()) as aws:
        clients = AwsClients(CallRecorder().session("AKIATEST"), endpoint_url=aws.url)
        findings = [finding async for finding in of_identity(Probes(clients, region=REGION))]
        clients.close()
        assert aws.calls == []
    assert one(findings, "runs as a role").verdict is FAILED


@pytest.mark.parametrize(
    ("without", "claim"),
    [
        ("tag", "without the tag of a lease"),
        ("identity", "without a source identity"),
        ("external", "without the external id"),
        ("external", "with another external id"),
    ],
)
async def test_a_trust_policy_that_forgets_something_is_told(look: Looking, without: str, claim: str) -> None:
    findings = await look(of_role(), {("sts", "AssumeRole"): assumes(without=without)})
    assert one(findings, claim).verdict is FAILED
    assert {finding.verdict for finding in findings if claim not in finding.claim and without != "external"} <= {OK}


@pytest.mark.parametrize("answer", [refusal(), AWAY])
async def test_where_no_session_can_be_made_refusals_prove_nothing(look: Looking, answer: Reply) -> None:
    findings = await look(of_role(), {("sts", "AssumeRole"): answer})
    whole = one(findings, "for what the service sends")
    assert whole.verdict is (FAILED if answer.status == 403 else CANNOT)
    assert {finding.verdict for finding in findings if "gives no session" in finding.claim} == {CANNOT}
    assert one(findings, "is denied the rest").verdict is CANNOT


async def test_a_role_without_an_external_id_is_told(look: Looking) -> None:
    findings = await look(of_role(target=replace(LAKE, external_id=None)))
    assert one(findings, "without the external id").verdict is FAILED


@pytest.mark.parametrize(
    ("claim", "changed", "verdict"),
    [
        ("powerless", {("iam", "SimulatePrincipalPolicy"): simulated("allowed")}, FAILED),
        ("powerless", {("iam", "SimulatePrincipalPolicy"): refusal()}, CANNOT),
        ("carries the boundary", {("iam", "GetRole"): role_form(boundary=f"{BOUNDARY}-other")}, FAILED),
        ("carries the boundary", {("iam", "GetRole"): refusal()}, CANNOT),
        ("within the hour", {("iam", "GetRole"): role_form(seconds=43200)}, FAILED),
        ("within the hour", {("iam", "GetRole"): refusal()}, CANNOT),
        ("is denied the rest", {("s3", "GetObject"): Reply(body="secret")}, FAILED),
        ("is denied the rest", {("s3", "GetObject"): refusal("NoSuchKey", 404)}, FAILED),
        ("is denied the rest", {("s3", "ListObjectsV2"): LISTED}, FAILED),
        ("is denied the rest", {("s3", "ListObjectsV2"): refusal()}, CANNOT),
        ("is denied the rest", {("s3", "GetObject"): AWAY}, CANNOT),
        ("is denied the rest", {("sts", "AssumeRole"): session()}, FAILED),
    ],
)
async def test_what_a_role_may_do_too_much_is_told(
    look: Looking, claim: str, changed: Changed, verdict: Verdict
) -> None:
    assert one(await look(of_role(), changed), claim).verdict is verdict


async def test_a_role_is_not_revocable_where_no_revocation_is_configured(look: Looking) -> None:
    findings = await look(of_role(replace(SETTINGS, revocation=None)))
    assert one(findings, "carries the boundary").verdict is FAILED


def bucket_policy(**statement: object) -> Changed:
    text = policy({"Sid": "S", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **statement})
    return {("s3", "GetBucketPolicy"): Reply(body=text, json=True)}


CONDITION = {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        (bucket_policy(Principal="*"), FAILED),
        (bucket_policy(Principal="*", Condition=CONDITION), FAILED),
        (bucket_policy(Principal={"AWS": ["*"]}), FAILED),
        (bucket_policy(NotPrincipal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}), FAILED),
        (bucket_policy(Principal={"AWS": "444455556666"}), FAILED),
        (bucket_policy(Principal={"AWS": "arn:aws:iam::444455556666:role/x"}), FAILED),
        (bucket_policy(Principal={"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/penstock-lake-reader/pk-x"}), FAILED),
        (bucket_policy(Principal={"AWS": LAKE.arn}), FAILED),
        (bucket_policy(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/etl"}), OK),
        (bucket_policy(Principal={"Service": "cloudtrail.amazonaws.com"}), OK),
        (bucket_policy(Principal="*", Effect="Deny"), OK),
        ({("s3", "GetBucketPolicy"): Reply(body="not json", json=True)}, CANNOT),
        ({("s3", "GetBucketPolicy"): refusal()}, CANNOT),
    ],
)
async def test_a_bucket_policy_that_adds_something_is_told(look: Looking, changed: Changed, verdict: Verdict) -> None:
    assert one(await look(of_lake, changed), "the policy of the bucket").verdict is verdict


async def test_a_bucket_policy_that_is_accepted_is_told_as_such(look: Looking) -> None:
    accepted = frozenset({"arn:aws:s3:::acme-lake"})
    findings = await look(lambda probes: resources.findings(probes, LAKE, accepted), bucket_policy(Principal="*"))
    assert one(findings, "is accepted as it is").verdict is OK


async def test_the_owner_of_a_foreign_bucket_names_our_role_as_it_must(look: Looking) -> None:
    foreign = replace(LAKE, bucket_accounts=(("acme-lake", "444455556666"),))
    findings = await look(
        lambda probes: resources.findings(probes, foreign), bucket_policy(Principal={"AWS": foreign.arn})
    )
    assert one(findings, "the policy of the bucket").verdict is OK


@pytest.mark.parametrize(
    ("claim", "changed", "verdict"),
    [
        (
            "the policy of the key",
            {
                ("kms", "GetKeyPolicy"): json_reply(
                    {"Policy": policy({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*"})}
                )
            },
            FAILED,
        ),
        ("the policy of the key", {("kms", "GetKeyPolicy"): refusal()}, CANNOT),
        (
            "no grant on the key",
            {("kms", "ListGrants"): json_reply({"Grants": [{"GranteePrincipal": LAKE.arn}], "Truncated": False})},
            FAILED,
        ),
        ("no grant on the key", {("kms", "ListGrants"): json_reply({"Grants": [], "Truncated": True})}, CANNOT),
        ("no grant on the key", {("kms", "ListGrants"): refusal()}, CANNOT),
        ("the key of the bucket", {("s3", "GetBucketEncryption"): refusal()}, CANNOT),
    ],
)
async def test_what_keys_add_is_told(look: Looking, claim: str, changed: Changed, verdict: Verdict) -> None:
    assert KEY in ENCRYPTED.body
    assert one(await look(of_lake, changed), claim).verdict is verdict


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (obedient()["dynamodb", "GetResourcePolicy"], OK),
        (json_reply({"Policy": policy({"Effect": "Allow", "Principal": "*", "Action": "dynamodb:*"})}), FAILED),
        (refusal(), CANNOT),
    ],
)
async def test_what_a_policy_of_a_table_adds_is_told(look: Looking, answer: Answer, verdict: Verdict) -> None:
    findings = await look(
        lambda probes: resources.findings(probes, ORDERS), {("dynamodb", "GetResourcePolicy"): answer}
    )
    assert one(findings, "the policy of the table").verdict is verdict


GIVEN = xml("<DbUser>IAM:awsuser</DbUser><DbPassword>p4ssw0rd</DbPassword>", operation="GetClusterCredentials")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [(refusal(), OK), (GIVEN, FAILED), (refusal("ClusterNotFound", 404), CANNOT)],
)
async def test_the_password_of_a_superuser_is_refused(look: Looking, answer: Answer, verdict: Verdict) -> None:
    found = one(await look(of_clusters, {("redshift", "GetClusterCredentials"): answer}), "awsuser")
    assert found.verdict is verdict
    assert "p4ssw0rd" not in repr(found)


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({}, OK),
        ({("s3", "ListObjectsV2"): NOTHING_LISTED}, FAILED),
        ({("s3", "ListObjectsV2"): refusal("NoSuchBucket", 404)}, FAILED),
        ({("s3", "ListObjectsV2"): refusal()}, CANNOT),
        ({("sts", "AssumeRole"): refusal()}, CANNOT),
    ],
)
async def test_a_location_where_nothing_lies_is_told(look: Looking, changed: Changed, verdict: Verdict) -> None:
    assert one(await look(of_table, changed), "lake.nyc.flights").verdict is verdict


async def test_a_location_that_no_role_serves_is_nobodys_to_see(look: Looking) -> None:
    located = [("lake.nyc.flights", S3Location(bucket="elsewhere", key="x/"))]
    findings = await look(lambda probes: locations.findings(probes, located, [LAKE]))
    assert one(findings, "lake.nyc.flights").verdict is CANNOT


class _Revoked:
    """A revocation that an account takes up, or that cannot be written."""

    def __init__(self, script: dict[tuple[str, str], Answer], *, fails: bool = False, spreads: bool = True) -> None:
        self._script = script
        self._fails = fails
        self._spreads = spreads
        self.names: list[str] = []

    async def revoke(self, issuer: str, subject: str, source_identity: str) -> None:
        assert (issuer, subject) == ("penstock-doctor", "nobody")
        if self._fails:
            raise Unavailable(Reason.STATE_UNAVAILABLE, "the state is away", retry_after_seconds=None)
        self.names.append(source_identity)
        if self._spreads:
            self._script["s3", "ListObjectsV2"] = refusal()


@pytest.mark.parametrize(
    ("changed", "fails", "spreads", "verdict"),
    [
        ({}, False, True, OK),
        ({}, False, False, FAILED),
        ({}, True, True, CANNOT),
        ({("sts", "AssumeRole"): refusal()}, False, True, CANNOT),
        ({("s3", "ListObjectsV2"): refusal()}, False, True, CANNOT),
    ],
)
async def test_the_drill_measures_until_aws_denies(
    aws: ScriptedAws, probes: Probes, *, changed: Changed, fails: bool, spreads: bool, verdict: Verdict
) -> None:
    aws.script = obedient(changed)
    aws.calls.clear()
    revoking = _Revoked(aws.script, fails=fails, spreads=spreads)
    found = await revocation.Drill(
        probes=probes,
        role=LAKE,
        revoking=revoking,
        subject="nobody",
        clock=SystemClock(),
        longest=timedelta(seconds=1 if not spreads else 60),
        looks_every=timedelta(milliseconds=20),
    ).run()
    assumed = [call.fields["SourceIdentity"] for call in aws.calls if call.operation == "AssumeRole"]
    assert found.verdict is verdict
    if verdict is OK:
        assert re.fullmatch(r"after [0-9]+\.[0-9] s", found.detail)
        assert revoking.names == assumed


def test_the_command_prints_every_line_and_fails_where_one_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("ACCESS_KEY_ID", "ASIATEST"), ("SECRET_ACCESS_KEY", "s"), ("SESSION_TOKEN", "t")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("EXTERNAL_ID", "external-id-of-acme")
    with scripted_aws(obedient({("s3", "ListObjectsV2"): lists})) as aws:
        extra = f"""\
credentials:
  aws:
    region: {REGION}
    endpoint_url: {aws.url}
    roles:
      lake: {{arn: "{LAKE.arn}", external_id: "env:EXTERNAL_ID", serves: ["arn:aws:s3:::acme-lake/*"]}}
"""
        path = write_world(tmp_path, port=1, extra=extra)
        assert run(["doctor", "--aws", "--config", str(path)]) == 1
        out = capsys.readouterr().out
        assert "0 cannot know" in out
        failed = [line for line in out.splitlines() if line.startswith("failed")]
        assert len(failed) == 2  # no revocation is configured: not for the role, and not for the drill
        assert all("revo" in line or "boundary" in line for line in failed)
    assert run(["doctor", "--drill", "--config", str(path)]) == 2
