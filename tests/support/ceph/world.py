"""A whole Penstock whose AWS is radosgw: buckets, people, a role that may do everything, and what all of them ask.

The role's own policy allows `s3:*` everywhere, so that whatever is refused is refused by the session policy alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import penstock
from botocore.config import Config
from botocore.credentials import Credentials
from penstock import AwsCredentials

from support.ceph.cluster import Cluster
from support.ceph.sts_front import StsFront, running_front
from support.s3_scopes import ACCOUNT, BUCKETS
from support.server import ServerProcess, free_port, start_server
from support.small_lake import mint, write_world

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LAKE, OTHER = BUCKETS[0], BUCKETS[1]
ROLE = "penstock-lake-reader"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
REGION = "us-east-1"

_TOKENS_LIVE = timedelta(minutes=50)
"""A session ends with its token, and lasts 15 minutes at least."""

_CREDENTIALS = """\
credentials:
  lifetime: {lifetime}
  # What is tried here is the fence beside buckets that let in everybody; the second line would refuse before it.
  accepted_resource_grants: ["*"]
  aws:
    region: us-east-1
    endpoint_url: {url}
    roles:
      lake-reader:
        arn: "{role}"
        external_id: "env:PENSTOCK_EXTERNAL_ID"
        serves: [{serves}]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A cluster with its owner, and the front of its STS."""

    cluster: Cluster
    front: StsFront
    owner: S3Client

    def s3(self, session: AwsCredentials) -> S3Client:
        """A client of S3 with what Penstock issued, straight at radosgw."""
        return s3_client(
            self.cluster, session.access_key_id, session.secret_access_key, session_token=session.session_token
        )

    def fill(self, bucket: str, keys: Sequence[str]) -> None:
        """Put an object at each key; its content is its key."""
        for key in keys:
            self.owner.put_object(Bucket=bucket, Key=key, Body=key.encode())

    @contextmanager
    def bucket_policy(self, *statements: Mapping[str, Any], bucket: str = LAKE) -> Iterator[None]:
        """The bucket has a policy of its own while the block runs; without statements it has none."""
        if not statements:
            yield
            return
        self.owner.put_bucket_policy(Bucket=bucket, Policy=compact({"Version": "2012-10-17", "Statement": statements}))
        try:
            yield
        finally:
            self.owner.delete_bucket_policy(Bucket=bucket)

    def allow_role(self, allowed: bool) -> None:
        """Give the role its policy, or take it."""
        named = ("--tenant", ACCOUNT, f"--role-name={ROLE}", "--policy-name=all")
        if allowed:
            self.cluster.admin("role-policy", "put", *named, "--policy-doc", _policy("s3:*", "arn:aws:s3:::*"))
        else:
            self.cluster.admin("role-policy", "delete", *named)

    @contextmanager
    def altered(self, change: Callable[[str], str]) -> Iterator[None]:
        """Session policies are changed on their way while the block runs."""
        self.front.altered = change
        try:
            yield
        finally:
            self.front.altered = str

    def assumed(self, policy: str, *, name: str = "made-by-hand") -> S3Client:
        """A client with a session under a policy as it would be sent to AWS, without Penstock."""
        sts = boto3.session.Session(
            aws_access_key_id="broker", aws_secret_access_key="broker-secret", region_name=REGION
        ).client("sts", endpoint_url=self.front.url)
        got = sts.assume_role(RoleArn=ROLE_ARN, RoleSessionName=name, Policy=policy, DurationSeconds=900)["Credentials"]
        sts.close()
        return s3_client(self.cluster, got["AccessKeyId"], got["SecretAccessKey"], session_token=got["SessionToken"])


def s3_client(
    cluster: Cluster, key: str, secret: str, *, session_token: str | None = None, region: str = REGION
) -> S3Client:
    """A client that asks once: a refusal is an answer."""
    return boto3.session.Session(
        aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=session_token, region_name=region
    ).client(
        "s3",
        endpoint_url=cluster.url,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


def open_to(*principals: Mapping[str, Sequence[str]] | str, bucket: str = LAKE) -> Iterator[Mapping[str, Any]]:
    """Statements of a bucket policy that allows everything to each principal."""
    for principal in principals:
        resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
        yield {"Effect": "Allow", "Principal": principal, "Action": "s3:*", "Resource": resources}


def session_principal(*names: str) -> Mapping[str, Sequence[str]]:
    """The principal that is sessions themselves, by their names.

    In one statement: radosgw forgets which kind of principal it found when a later statement names others.
    """
    return {"AWS": [f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/{name}" for name in names]}


def compact(document: object) -> str:
    """JSON without spaces: radosgw reads no others from forms."""
    return json.dumps(document, separators=(",", ":"))


def _policy(action: str, resource: str) -> str:
    return compact(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": [action], "Resource": [resource]}]}
    )


@contextmanager
def running_world(cluster: Cluster) -> Iterator[World]:
    """Owner, broker, role and buckets in a cluster that has none yet."""
    for name in ("owner", "broker"):
        keys = ("--access-key", name, "--secret", f"{name}-secret")
        cluster.admin("user", "create", "--tenant", ACCOUNT, "--uid", name, "--display-name", name, *keys)
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": [f"arn:aws:iam::{ACCOUNT}:user/broker"]},
        "Action": ["sts:AssumeRole"],
    }
    document = compact({"Version": "2012-10-17", "Statement": [trust]})
    named = ("--tenant", ACCOUNT, f"--role-name={ROLE}")
    cluster.admin("role", "create", *named, "--path=/", "--assume-role-policy-doc", document)
    owner = s3_client(cluster, "owner", "owner-secret")
    for bucket in BUCKETS:
        owner.create_bucket(Bucket=bucket)
    with running_front(cluster, account=ACCOUNT, credentials=Credentials("broker", "broker-secret")) as front:
        world = World(cluster=cluster, front=front, owner=owner)
        world.allow_role(True)
        yield world


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """A Penstock that runs beside the world."""

    server: ServerProcess

    @contextmanager
    def of(self, user: str, **claims: Any) -> Iterator[penstock.Broker]:
        """The real client, signed in as somebody."""
        with penstock.connect(
            self.server.address, token=replace(mint(), lifetime=_TOKENS_LIVE)(user, groups=[], **claims)
        ) as broker:
            yield broker

    def session(self, user: str, *resources: str, access: Sequence[str] = ("read",), **claims: Any) -> AwsCredentials:
        """A session that is issued to somebody."""
        with self.of(user, **claims) as broker:
            return broker.aws_credentials(resources, access=access)


@contextmanager
def running_broker(
    folder: Path, world: World, policy: str, *, lifetime: str = "token", change: Callable[[str], str] = str
) -> Iterator[Broker]:
    """A server with that policy; `change` edits its configuration."""
    port = free_port()
    serves = ", ".join(f'"arn:aws:s3:::{bucket}/*"' for bucket in BUCKETS)
    section = _CREDENTIALS.format(url=world.front.url, role=ROLE_ARN, serves=serves, lifetime=lifetime)
    path = write_world(folder, port=port, policy=policy, extra=section)
    path.write_text(change(path.read_text()))
    environment = {
        "AWS_ACCESS_KEY_ID": "broker",
        "AWS_SECRET_ACCESS_KEY": "broker-secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PENSTOCK_EXTERNAL_ID": "of-the-stand-in",
    }
    server = start_server(path, port=port, environment=environment)
    try:
        server.wait_for_serving()
        yield Broker(server=server)
    finally:
        server.stop()
