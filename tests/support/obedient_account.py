"""An account that refuses what it must refuse, as `aws init` sets it up, and whose faults a test chooses."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from support.credentials import ACCOUNT, REGION, ROLE_ARN
from support.scripted_aws import Answer, Call, Reply, Script, refusal, xml

EXTERNAL_ID = "external-id-of-acme"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/penstock-boundary"
BROKER_SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/penstock-broker/task-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k-1"
CANARY_KEY = "ASIACANARY"
LISTED = Reply(body="<ListBucketResult><Contents><Key>a</Key></Contents><KeyCount>1</KeyCount></ListBucketResult>")
NOTHING_LISTED = Reply(body="<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>")
ENCRYPTED = Reply(
    body="<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>"
    f"<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>{KEY}</KMSMasterKeyID>"
    "</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
)


def policy(*statements: dict[str, object]) -> str:
    """A resource policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": [*statements]})


def json_reply(value: object) -> Reply:
    """An answer of a service that speaks JSON."""
    return Reply(body=json.dumps(value), json=True)


def session(arn: str = ROLE_ARN, *, key: str = CANARY_KEY) -> Reply:
    """A session, as AssumeRole answers it."""
    ends = (datetime.now(UTC) + timedelta(minutes=15)).strftime("%Y-%m-%dT%H:%M:%SZ")
    inner = (
        f"<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
        f"<SessionToken>t</SessionToken><Expiration>{ends}</Expiration></Credentials>"
        f"<AssumedRoleUser><Arn>{arn}</Arn><AssumedRoleId>x:y</AssumedRoleId></AssumedRoleUser>"
    )
    return xml(inner, operation="AssumeRole")


def assumes(*, without: str = "") -> Callable[[Call], Reply]:
    """A trust policy that asks for everything, but for what `without` names: `tag`, `identity` or `external`."""

    def answer(call: Call) -> Reply:
        if call.key == CANARY_KEY:
            return refusal()
        held = {
            "tag": "penstock:lease" in call.fields.values(),
            "identity": call.fields.get("SourceIdentity", "").startswith("pk-"),
            "external": call.fields.get("ExternalId") == EXTERNAL_ID,
        }
        return session() if all(good for name, good in held.items() if name != without) else refusal()

    return answer


def lists(call: Call) -> Reply:
    """A bucket that opens to a canary's own prefix, and to nothing else."""
    return LISTED if call.fields.get("prefix") else refusal()


def simulated(decision: str) -> Reply:
    """What IAM's simulator says."""
    inner = (
        "<IsTruncated>false</IsTruncated><EvaluationResults><member><EvalActionName>s3:GetObject</EvalActionName>"
        f"<EvalResourceName>arn:aws:s3:::acme-lake/x</EvalResourceName><EvalDecision>{decision}</EvalDecision>"
        "</member></EvaluationResults>"
    )
    return xml(inner, operation="SimulatePrincipalPolicy")


def role_form(*, boundary: str = BOUNDARY, seconds: int = 3600) -> Reply:
    """What IAM says of a role."""
    inner = (
        f"<Role><Arn>{ROLE_ARN}</Arn><RoleName>x</RoleName><RoleId>i</RoleId><Path>/</Path>"
        f"<CreateDate>2026-01-01T00:00:00Z</CreateDate><MaxSessionDuration>{seconds}</MaxSessionDuration>"
        f"<PermissionsBoundary><PermissionsBoundaryArn>{boundary}</PermissionsBoundaryArn></PermissionsBoundary></Role>"
    )
    return xml(inner, operation="GetRole")


def caller(arn: str = BROKER_SESSION) -> Reply:
    """Who the caller is."""
    return xml(f"<Arn>{arn}</Arn><UserId>u</UserId><Account>{ACCOUNT}</Account>", operation="GetCallerIdentity")


def obedient(changed: Script | None = None) -> dict[tuple[str, str], Answer]:
    """The account, with some answers changed; what it does not hold is refused."""
    return {
        ("sts", "GetCallerIdentity"): caller(),
        ("sts", "AssumeRole"): assumes(),
        ("iam", "SimulatePrincipalPolicy"): simulated("implicitDeny"),
        ("iam", "GetRole"): role_form(),
        ("s3", "ListObjectsV2"): lists,
        ("s3", "GetBucketPolicy"): refusal("NoSuchBucketPolicy", 404),
        ("s3", "GetBucketEncryption"): ENCRYPTED,
        ("kms", "GetKeyPolicy"): json_reply(
            {"Policy": policy({"Sid": "Root", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}})}
        ),
        ("kms", "ListGrants"): json_reply({"Grants": [], "Truncated": False}),
        ("dynamodb", "GetResourcePolicy"): Reply(
            body='{"__type": "com.amazonaws.dynamodb#PolicyNotFoundException", "message": "no"}', status=400, json=True
        ),
        **(changed or {}),
    }
