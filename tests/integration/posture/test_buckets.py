"""What is found of buckets: against moto, which keeps settings, and against answers that it never gives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from penstock_server.aws.clients import AwsClients
from penstock_server.aws.posture import BucketChecks
from penstock_server.model.clock import SystemClock
from penstock_server.model.posture import BucketPosture, Finding, Requirement
from support.credentials import REGION

BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
PUBLIC = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
"Resource": "arn:aws:s3:::%s/*"}]}"""


def session() -> boto3.session.Session:
    return boto3.session.Session(
        aws_access_key_id="ASIATEST", aws_secret_access_key="test", aws_session_token="test", region_name=REGION
    )


@pytest.fixture
async def clients(aws_url: str) -> AsyncIterator[AwsClients]:
    made = AwsClients(session(), endpoint_url=aws_url)
    yield made
    made.close()


@pytest.fixture
def s3(aws_url: str) -> Any:
    client = session().client("s3", endpoint_url=aws_url)
    yield client
    client.close()


def make(s3: Any, *, owner: str = "BucketOwnerEnforced", block: tuple[str, ...] = (), public: bool = False) -> str:
    name = f"posture-{uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, ObjectOwnership=owner, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls={"Rules": [{"ObjectOwnership": owner}]})
    if block:
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration={each: each in block for each in BLOCKS})
    if public:
        s3.put_bucket_policy(Bucket=name, Policy=PUBLIC % name)
    return name


def encrypt(s3: Any, name: str, algorithm: str) -> None:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})


async def found(clients: AwsClients, name: str) -> BucketPosture:
    return await BucketChecks(clients, region=REGION, clock=SystemClock()).check(name)


async def private(clients: AwsClients, name: str) -> Finding:
    return (await found(clients, name)).finding(Requirement.PRIVATE)


@pytest.mark.parametrize("algorithm", ["AES256", "aws:kms", "aws:kms:dsse"])
async def test_a_bucket_with_default_encryption_is_encrypted(clients: AwsClients, s3: Any, algorithm: str) -> None:
    name = make(s3)
    encrypt(s3, name, algorithm)
    posture = await found(clients, name)
    assert posture.finding(Requirement.ENCRYPTED) == Finding(
        requirement=Requirement.ENCRYPTED, met=True, why="", remedy=""
    )


async def test_a_bucket_without_default_encryption_is_not(clients: AwsClients, s3: Any) -> None:
    name = make(s3)
    s3.delete_bucket_encryption(Bucket=name)
    finding = (await found(clients, name)).finding(Requirement.ENCRYPTED)
    assert (finding.met, finding.remedy) == (False, "set its default encryption to SSE-S3 or SSE-KMS")


@pytest.mark.parametrize(
    ("settings", "met", "why"),
    [
        ({}, True, ""),
        ({"block": BLOCKS, "owner": "ObjectWriter", "public": False}, True, ""),
        ({"owner": "ObjectWriter"}, False, "ACLs may make its objects public"),
        ({"owner": "BucketOwnerPreferred", "block": ("BlockPublicAcls",)}, False, "ACLs may make its objects public"),
        ({"owner": "ObjectWriter", "block": ("IgnorePublicAcls",)}, True, ""),
        ({"public": True}, False, "its policy is public"),
        ({"public": True, "block": ("IgnorePublicAcls",)}, False, "its policy is public"),
        ({"public": True, "block": ("RestrictPublicBuckets",)}, True, ""),
        (
            {"public": True, "owner": "ObjectWriter"},
            False,
            "its policy is public and ACLs may make its objects public",
        ),
    ],
)
async def test_a_bucket_is_private_where_neither_policy_nor_acls_can_open_it(
    clients: AwsClients, s3: Any, settings: dict[str, Any], met: bool, why: str
) -> None:
    finding = await private(clients, make(s3, **settings))
    assert (finding.met, finding.why) == (met, why)
    assert bool(finding.remedy) is not met


async def test_what_the_account_blocks_counts_for_its_buckets(clients: AwsClients, s3: Any, aws_url: str) -> None:
    name = make(s3, owner="ObjectWriter", public=True)
    assert (await private(clients, name)).met is False
    account = session().client("sts", endpoint_url=aws_url).get_caller_identity()["Account"]
    control = clients.s3_control(REGION)

    def to_the_stand_in(request: Any, **_: object) -> None:
        # AWS: the host begins with the account's number, which that of the stand-in does not.
        request.url = request.url.replace(f"//{account}.", "//")

    control.meta.events.register("before-send.s3-control", to_the_stand_in)
    put: Any = getattr(control, "put_public_access_block")  # noqa: B009 - no stubs
    put(AccountId=account, PublicAccessBlockConfiguration=dict.fromkeys(BLOCKS, True))
    try:
        assert (await private(clients, name)).met is True
    finally:
        delete: Any = getattr(control, "delete_public_access_block")  # noqa: B009 - no stubs
        delete(AccountId=account)


async def test_of_a_bucket_that_is_not_there_nothing_is_known(clients: AwsClients) -> None:
    posture = await found(clients, f"no-such-bucket-{uuid4().hex}")
    assert [finding.met for finding in posture.findings] == [None, None]
    assert all(finding.why and finding.remedy for finding in posture.findings)


class Stub:
    """A client of S3 whose answers are errors or what a test says, by method."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers

    def __getattr__(self, method: str) -> Any:
        def call(**_: object) -> Any:
            answer = self._answers.get(method, denied(method))
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def denied(method: str, code: str = "AccessDenied") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, method)  # type: ignore[typeddict-item]  # what errors have of it


GOOD: dict[str, Any] = {
    "get_bucket_encryption": {
        "ServerSideEncryptionConfiguration": {
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        }
    },
    "get_public_access_block": {"PublicAccessBlockConfiguration": {}},
    "get_bucket_policy_status": {"PolicyStatus": {"IsPublic": False}},
    "get_bucket_ownership_controls": {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}},
}


async def answered(monkeypatch: pytest.MonkeyPatch, clients: AwsClients, **answers: Any) -> dict[Requirement, Any]:
    stub = Stub({**GOOD, **answers})
    monkeypatch.setattr(clients, "s3", lambda _: stub)
    monkeypatch.setattr(clients, "s3_control", lambda _: Stub({}))
    return {finding.requirement: finding.met for finding in (await found(clients, "b")).findings}


async def test_good_answers_are_both(monkeypatch: pytest.MonkeyPatch, clients: AwsClients) -> None:
    assert await answered(monkeypatch, clients) == {Requirement.ENCRYPTED: True, Requirement.PRIVATE: True}


@pytest.mark.parametrize("method", GOOD)
@pytest.mark.parametrize(
    "error",
    [
        denied("x"),
        denied("x", "SlowDown"),
        denied("x", "NoSuchBucket"),
        EndpointConnectionError(endpoint_url="https://s3"),
    ],
    ids=["denied", "throttled", "missing", "unreachable"],
)
async def test_what_aws_does_not_answer_is_never_met(
    monkeypatch: pytest.MonkeyPatch, clients: AwsClients, method: str, error: Exception
) -> None:
    met = await answered(monkeypatch, clients, **{method: error})
    failed = Requirement.ENCRYPTED if method == "get_bucket_encryption" else Requirement.PRIVATE
    assert met[failed] is None


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("get_bucket_encryption", {}),
        ("get_bucket_encryption", {"ServerSideEncryptionConfiguration": {"Rules": []}}),
        (
            "get_bucket_encryption",
            {
                "ServerSideEncryptionConfiguration": {
                    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:fsx"}}]
                }
            },
        ),
        ("get_bucket_policy_status", {"PolicyStatus": {}}),
        ("get_bucket_policy_status", {"PolicyStatus": {"IsPublic": "false"}}),
        ("get_bucket_ownership_controls", {}),
        ("get_bucket_ownership_controls", {"OwnershipControls": {"Rules": [{"ObjectOwnership": "Whoever"}]}}),
    ],
)
async def test_an_answer_of_another_shape_is_never_met(
    monkeypatch: pytest.MonkeyPatch, clients: AwsClients, method: str, answer: Any
) -> None:
    met = await answered(monkeypatch, clients, **{method: answer})
    failed = Requirement.ENCRYPTED if method == "get_bucket_encryption" else Requirement.PRIVATE
    assert met[failed] is not True
