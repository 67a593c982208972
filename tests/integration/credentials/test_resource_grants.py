"""No session for a resource whose own policy lets in others; policies are those of a stand-in for AWS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError
from penstock_server.aws.clients import AwsClients
from penstock_server.config.settings import RoleSettings
from penstock_server.credentials.resource_grants import MAX_AGE_SECONDS, RETRY_SECONDS
from penstock_server.errors import AccessDenied, PenstockError, Reason, Unavailable
from penstock_server.policy.bound import BoundPolicy
from support.credentials import ACCOUNT, REGION, Doors, aws_request, bound_policy, doors, principal, role
from support.spark import job, spark_bench
from support.tokens import SteppedClock, request_context

OTHER = "444455556666"
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/Open"

Opened = Callable[..., AbstractContextManager[Doors]]


@pytest.fixture
def s3(aws_url: str) -> Iterator[Any]:
    client = boto3.client(
        "s3", region_name=REGION, endpoint_url=aws_url, aws_access_key_id="test", aws_secret_access_key="test"
    )
    yield client
    client.close()


@pytest.fixture
def bucket(s3: Any) -> str:
    """A bucket of this test alone: what the stand-in holds belongs to the process."""
    name = f"grants-{uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


@pytest.fixture
def opened(tmp_path: Path, bucket: str, aws_url: str) -> Opened:
    """Doors to the bucket and to a table; `accepted` as in the configuration."""
    policy: BoundPolicy = bound_policy(
        tmp_path / "policy",
        "grants:\n"
        f'  - {{name: files, principals: ["group:data"], resource: "arn:aws:s3:::{bucket}/x/*", permissions: [READ]}}\n'
        f'  - {{name: items, principals: [everyone], resource: "{TABLE}/index/by-day", permissions: [READ]}}\n',
    )

    def open_doors(accepted: Sequence[str] | None = (), **settings: Any) -> AbstractContextManager[Doors]:
        roles: list[RoleSettings] = [role(serves=(f"arn:aws:s3:::{bucket}/*", TABLE), **settings)]
        clock = SteppedClock(instant=datetime.now(UTC))
        return doors(tmp_path, policy, endpoint_url=aws_url, clock=clock, roles=roles, accepted=accepted)

    return open_doors


def allow(s3: Any, bucket: str, principal: object, **more: object) -> None:
    statement = {
        "Sid": "Partner",
        "Effect": "Allow",
        "Principal": principal,
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        **more,
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


async def issue(bench: Doors, bucket: str, *groups: str) -> None:
    await bench.aws.issue(
        principal("alice", *(groups or ("data",))), aws_request(f"arn:aws:s3:::{bucket}/x/*"), request_context()
    )


async def refusal(bench: Doors, bucket: str, *groups: str) -> PenstockError:
    with pytest.raises(PenstockError) as failed:
        await issue(bench, bucket, *groups)
    assert "AssumeRole" not in calls(bench)
    return failed.value


def calls(bench: Doors) -> list[str]:
    return [name for name, _ in bench.recorder.calls]


@pytest.mark.parametrize(
    "whom",
    [
        "*",
        {"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/penstock-lake-reader/pk-x"},
        {"AWS": f"arn:aws:iam::{OTHER}:root"},
    ],
)
async def test_no_session_reaches_a_bucket_whose_policy_lets_in_others(
    s3: Any, bucket: str, opened: Opened, whom: object
) -> None:
    allow(s3, bucket, whom, Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}})
    with opened() as bench:
        error = await refusal(bench, bucket)
        assert isinstance(error, AccessDenied)
        assert error.reason is Reason.NOT_CONFIGURED
        assert error.message == f"the policy of `arn:aws:s3:::{bucket}` lets in others than the roles of sessions"
        assert "credentials.accepted_resource_grants" in error.hint
        # Whom it lets in is the operator's to know, in the audit.
        assert "Partner" in error.detail
        assert "Partner" not in error.message + error.hint
        assert OTHER not in error.message + error.hint + str(error.metadata)


@pytest.mark.parametrize("accepted", [["arn:aws:s3:::BUCKET"], ["*"], None])
async def test_what_is_accepted_is_not_looked_at(
    s3: Any, bucket: str, opened: Opened, accepted: list[str] | None
) -> None:
    allow(s3, bucket, "*")
    with opened(accepted and [each.replace("BUCKET", bucket) for each in accepted]) as bench:
        await issue(bench, bucket)
        assert calls(bench) == ["AssumeRole"]


async def test_another_bucket_that_is_accepted_opens_nothing(s3: Any, bucket: str, opened: Opened) -> None:
    allow(s3, bucket, "*")
    with opened([f"arn:aws:s3:::{bucket}-other"]) as bench:
        await refusal(bench, bucket)


@pytest.mark.parametrize(
    "whom", [None, {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, {"Service": "logging.s3.amazonaws.com"}]
)
async def test_a_bucket_that_lets_in_nobody_else_is_given_and_looked_at_once(
    s3: Any, bucket: str, opened: Opened, whom: object
) -> None:
    if whom is not None:
        allow(s3, bucket, whom)
    with opened() as bench:
        await issue(bench, bucket)
        await issue(bench, bucket)
        assert calls(bench) == ["GetBucketPolicy", "AssumeRole", "AssumeRole"]


async def test_a_grant_that_is_opened_later_is_seen_when_the_finding_is_old(
    s3: Any, bucket: str, opened: Opened
) -> None:
    with opened() as bench:
        await issue(bench, bucket)
        allow(s3, bucket, "*")
        bench.clock.advance(timedelta(seconds=MAX_AGE_SECONDS))
        with pytest.raises(AccessDenied):
            await issue(bench, bucket)
        # And one that is mended soon is given soon.
        s3.delete_bucket_policy(Bucket=bucket)
        bench.clock.advance(timedelta(seconds=RETRY_SECONDS))
        await issue(bench, bucket)


async def test_the_owner_of_a_foreign_bucket_is_no_stranger_to_it(s3: Any, bucket: str, opened: Opened) -> None:
    allow(s3, bucket, {"AWS": f"arn:aws:iam::{OTHER}:root"})
    with opened(bucket_accounts=((bucket, OTHER),)) as bench:
        await issue(bench, bucket)


@pytest.mark.parametrize(
    ("code", "reason"), [("AccessDenied", Reason.AWS_REFUSED), ("InternalError", Reason.AWS_UNAVAILABLE)]
)
async def test_a_policy_that_cannot_be_read_lets_nobody_through(
    bucket: str, opened: Opened, monkeypatch: pytest.MonkeyPatch, code: str, reason: Reason
) -> None:
    class Refuses:
        """S3 as it answers an identity that may not read policies."""

        def get_bucket_policy(self, **_: object) -> object:
            raise ClientError({"Error": {"Code": code}}, "GetBucketPolicy")

    own = AwsClients.own
    monkeypatch.setattr(
        AwsClients, "own", lambda self, service, region: Refuses() if service == "s3" else own(self, service, region)
    )
    with opened() as bench:
        error = await refusal(bench, bucket)
        assert isinstance(error, Unavailable)
        assert error.reason is reason


async def test_who_has_no_grant_makes_nobody_look(s3: Any, bucket: str, opened: Opened) -> None:
    allow(s3, bucket, "*")
    with opened() as bench:
        error = await refusal(bench, bucket, "elsewhere")
        assert error.reason is not Reason.NOT_CONFIGURED
        assert calls(bench) == []


async def test_policies_of_tables_are_looked_at(opened: Opened) -> None:
    with opened() as bench:
        await bench.aws.issue(principal("alice"), aws_request(f"{TABLE}/index/by-day"), request_context())
        assert bench.recorder.only("GetResourcePolicy") == {"ResourceArn": TABLE}


async def test_no_job_of_spark_reaches_such_a_bucket(s3: Any, bucket: str, aws_url: str, tmp_path: Path) -> None:
    allow(s3, bucket, "*")
    files = f"arn:aws:s3:::{bucket}/x/*"
    policy = bound_policy(
        tmp_path / "policy",
        f'grants: [{{name: files, principals: [everyone], resource: "{files}", permissions: [READ]}}]\n',
    )
    bench = spark_bench(
        tmp_path,
        policy,
        endpoint_url=aws_url,
        clock=SteppedClock(instant=datetime.now(UTC)),
        application="application",
        roles=[role(serves=(f"arn:aws:s3:::{bucket}/*",))],
        accepted=(),
    )
    with bench as opened:
        with pytest.raises(AccessDenied) as failed:
            await opened.door.start(
                principal("alice"), job(files, entry_point=f"s3://{bucket}/x/a.py"), request_context()
            )
        assert failed.value.reason is Reason.NOT_CONFIGURED
        assert calls(opened.doors) == ["GetBucketPolicy"]
