"""The boundary policy and the roles that carry it, in the account of the stand-in for AWS."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from penstock_server.aws.boundary import BoundaryPolicy
from penstock_server.aws.clients import AwsClients
from penstock_server.credentials.revocation_document import revocation_document
from penstock_server.credentials.revocation_writing import RevocationWriting
from penstock_server.state.store import State

from support.credentials import ACCOUNT, REGION, CallRecorder
from support.tokens import SteppedClock

REVOKER = f"arn:aws:iam::{ACCOUNT}:role/penstock-revoker"
_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
)


@dataclass(slots=True, kw_only=True)
class Account:
    """An account with one boundary policy; `iam` is a client of an administrator of it."""

    iam: Any
    policy: str
    url: str

    def role(self, name: str, *, bounded: bool) -> str:
        """Make a role of a fresh name, with the boundary or without, and give its ARN."""
        fresh = f"{name}-{uuid.uuid4().hex[:12]}"
        boundary = {"PermissionsBoundary": self.policy} if bounded else {}
        made = self.iam.create_role(RoleName=fresh, AssumeRolePolicyDocument=_TRUST, **boundary)
        return str(made["Role"]["Arn"])

    def document(self) -> dict[str, Any]:
        """What holds now, as AWS has it."""
        version = self.iam.get_policy(PolicyArn=self.policy)["Policy"]["DefaultVersionId"]
        found = self.iam.get_policy_version(PolicyArn=self.policy, VersionId=version)
        document: dict[str, Any] = found["PolicyVersion"]["Document"]
        return document

    def versions(self) -> list[str]:
        """The versions that are kept."""
        return [found["VersionId"] for found in self.iam.list_policy_versions(PolicyArn=self.policy)["Versions"]]


@contextmanager
def account(url: str) -> Iterator[Account]:
    """A boundary policy of a fresh name, that revokes nothing, in the account of the target roles."""
    iam = _administrator(url)
    made = iam.create_policy(
        PolicyName=f"penstock-boundary-{uuid.uuid4().hex[:12]}", PolicyDocument=revocation_document(()).text
    )
    try:
        yield Account(iam=iam, policy=made["Policy"]["Arn"], url=url)
    finally:
        iam.close()


@contextmanager
def boundary(at: Account, clock: SteppedClock, recorder: CallRecorder | None = None) -> Iterator[BoundaryPolicy]:
    """The boundary policy as the service reaches it."""
    clients = AwsClients((recorder or CallRecorder()).session(), endpoint_url=at.url)
    try:
        yield BoundaryPolicy(clients, role=REVOKER, policy=at.policy, region=REGION, clock=clock)
    finally:
        clients.close()


def writing(
    state: State, policy: BoundaryPolicy, clock: SteppedClock, *, roles: Sequence[str], holder: str = "this process"
) -> RevocationWriting:
    """The writer of a state."""
    return RevocationWriting(store=state.revocations, boundary=policy, roles=roles, clock=clock, holder=holder)


def _administrator(url: str) -> Any:
    # moto: the account of a call is that of its credentials, and those of an assumed role are in the role's.
    sts = boto3.client(
        "sts", region_name=REGION, endpoint_url=url, aws_access_key_id="test", aws_secret_access_key="test"
    )
    role = f"arn:aws:iam::{ACCOUNT}:role/administrator"
    credentials = sts.assume_role(RoleArn=role, RoleSessionName="administrator")["Credentials"]
    sts.close()
    return boto3.client(
        "iam",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
