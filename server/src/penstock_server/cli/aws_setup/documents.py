"""The policy documents of a set-up, as values.

| role | may |
|---|---|
| broker | assume the other roles, read settings of what is served, ask for logins of prefixed database users |
| lake (target) | reach what is served, but only in a session with the tag of a lease and a source identity |
| query | read the files of catalogs |
| revoker | write the one policy that is the targets' boundary |

The reaper is a role of the database (`redshift_sql`): it needs nothing of IAM.

Source: AWS service authorization reference; IAM user guide, "Policy evaluation logic", "Monitor and control actions
taken with assumed roles" (sts:SourceIdentity), "Passing session tags in AWS STS".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final, TypeAlias

from penstock_server.cli.aws_setup.redshift_sql import USER_PREFIX
from penstock_server.cli.aws_setup.wanted import Compute, ServedBucket, SetUp
from penstock_server.credentials.names import LEASE_TAG, USER_TAG
from penstock_server.credentials.revocation_document import revocation_document
from penstock_server.model.decision import Access

Json: TypeAlias = "str | int | list[Json] | dict[str, Json]"
Statement: TypeAlias = dict[str, Json]
Document: TypeAlias = dict[str, Json]


_POD_TAGS: Final = (
    "eks-cluster-arn",
    "eks-cluster-name",
    "kubernetes-namespace",
    "kubernetes-pod-name",
    "kubernetes-pod-uid",
    "kubernetes-service-account",
)
_SERVICES: Final = {
    Compute.ECS: "ecs-tasks.amazonaws.com",
    Compute.EC2: "ec2.amazonaws.com",
    Compute.EKS: "pods.eks.amazonaws.com",
}
_OBJECT_ACTIONS: Final = {
    Access.READ: ("s3:GetObject",),
    Access.WRITE: ("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
}
_ITEM_ACTIONS: Final = {
    Access.READ: ("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:ConditionCheckItem"),
    Access.WRITE: ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"),
}
_SEES_BUCKETS: Final = (
    "s3:GetBucketLocation",
    "s3:GetBucketOwnershipControls",
    "s3:GetBucketPolicy",
    "s3:GetBucketPolicyStatus",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetEncryptionConfiguration",
)
_SEES_KEYS: Final = ("kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants")
_SEES_TABLES: Final = ("dynamodb:DescribeTable", "dynamodb:GetResourcePolicy")
_SEES_ROLES: Final = ("iam:GetPolicy", "iam:GetRole", "iam:SimulatePrincipalPolicy")
_ISSUES: Final = ("sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession")
REVOKES: Final = (
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:ListPolicyVersions",
    "iam:CreatePolicyVersion",
    "iam:DeletePolicyVersion",
)


def document(*statements: Statement) -> Document:
    """Give a policy of these statements."""
    return {"Version": "2012-10-17", "Statement": [*statements]}


def boundary() -> Document:
    """Give the revocation document of nothing revoked."""
    found: Document = json.loads(revocation_document(()).text)
    return found


def broker_trust(setup: SetUp) -> Document:
    """Give who may run as the broker: the compute service, for this account where it can say so."""
    statement = _allow(
        "Run", ("sts:AssumeRole", "sts:TagSession") if setup.compute is Compute.EKS else ("sts:AssumeRole",)
    )
    statement["Principal"] = {"Service": _SERVICES[setup.compute]}
    if setup.compute is Compute.ECS:
        # SECURITY: ECS acts for every account; only this one's tasks may be given the role.
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": setup.account}}
    return document(statement)


def target_trust(setup: SetUp) -> Document:
    """Give who may make sessions: the broker, never without external id, source identity and lease."""
    tags = [LEASE_TAG, USER_TAG, *(_POD_TAGS if setup.compute is Compute.EKS else ())]
    return document(
        _trusted(
            "Assume",
            setup,
            ("sts:AssumeRole",),
            {
                "StringEquals": {"sts:ExternalId": setup.external_id},
                "StringLike": {
                    "sts:SourceIdentity": "pk-*",
                    "sts:RoleSessionName": "pk-*",
                    f"aws:RequestTag/{LEASE_TAG}": "?*",
                },
            },
        ),
        _trusted("Identify", setup, ("sts:SetSourceIdentity",), {"StringLike": {"sts:SourceIdentity": "pk-*"}}),
        # AWS: sts:SourceIdentity is no key of sts:TagSession, by the service authorization reference.
        _trusted("Tag", setup, ("sts:TagSession",), {"ForAllValues:StringEquals": {"aws:TagKeys": [*tags]}}),
    )


def inner_trust(setup: SetUp) -> Document:
    """Give who may act as a role that the broker uses for itself: the broker, with the external id."""
    condition: Json = {"StringEquals": {"sts:ExternalId": setup.external_id}}
    named: Json = {"StringLike": {"sts:SourceIdentity": "penstock-*"}}
    return document(
        _trusted("Assume", setup, ("sts:AssumeRole",), condition),
        _trusted("Identify", setup, ("sts:SetSourceIdentity",), named),
    )


def target_permissions(setup: SetUp) -> Document:
    """Give what sessions may reach at most."""
    statements: list[Statement] = []
    for account in sorted({bucket.account for bucket in setup.buckets}):
        buckets = tuple(bucket for bucket in setup.buckets if bucket.account == account)
        statements += _on_buckets(setup, account, buckets)
    keys = _keys(setup)
    if keys:
        writes = ("kms:GenerateDataKey",) if Access.WRITE in setup.access else ()
        statements.append(_allow("Keys", ("kms:Decrypt", *writes), keys, {**_via_s3(setup), **_leased()}))
    if setup.tables:
        actions = tuple(action for access in _sorted(setup) for action in _ITEM_ACTIONS.get(access, ()))
        resources = [arn for table in setup.tables for arn in (str(table), f"{table}/index/*")]
        owned: Json = {"aws:ResourceAccount": setup.account}
        statements.append(_allow("Items", actions, resources, {"StringEquals": owned, **_leased()}))
    return document(*statements, *_only_leased())


def broker_permissions(setup: SetUp) -> Document:
    """Give what the broker itself may do: assume the others, look, and ask for logins; a fence denies all else."""
    inner = [setup.role("query"), setup.role("revoker")]
    statements = [
        _allow("Issue", _ISSUES, [setup.lake, *setup.foreign_targets]),
        _allow("Become", ("sts:AssumeRole", "sts:SetSourceIdentity"), inner),
        _allow("SeeRoles", _SEES_ROLES, [setup.lake, *inner, setup.boundary]),
        _allow("SeeAccount", ("s3:GetAccountPublicAccessBlock",), ["*"]),
    ]
    if setup.buckets:
        statements.append(_allow("SeeBuckets", _SEES_BUCKETS, [_bucket(bucket) for bucket in setup.buckets]))
    if keys := _keys(setup):
        statements.append(_allow("SeeKeys", _SEES_KEYS, keys))
    if setup.tables:
        statements.append(_allow("SeeTables", _SEES_TABLES, [str(table) for table in setup.tables]))
    if setup.cluster is not None:
        statements += _logins(setup)
    # SECURITY: no policy that is attached later, and no role that trusts the whole account, makes the broker more than
    # this: what is not named here is denied.
    used = {action for statement in statements for action in _actions(statement)}
    statements.append(
        {"Sid": "NothingElse", "Effect": "Deny", "NotAction": [*sorted(used), "sts:GetCallerIdentity"], "Resource": "*"}
    )
    roles: list[Json] = [setup.lake, *setup.foreign_targets, *inner]
    statements.append({"Sid": "NoOtherRole", "Effect": "Deny", "Action": [*_ISSUES], "NotResource": roles})
    return document(*statements)


def query_permissions(setup: SetUp) -> Document:
    """Give what the query engine may read: the files of catalogs, and nothing that is written."""
    statements: list[Statement] = []
    for account in sorted({bucket.account for bucket in setup.buckets}):
        names = [_bucket(bucket) for bucket in setup.buckets if bucket.account == account]
        resources = [arn for name in names for arn in (name, f"{name}/*")]
        owned: Json = {"StringEquals": {"aws:ResourceAccount": account}}
        actions = ("s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket")
        statements.append(_allow(f"Read{account}", actions, resources, owned))
    if keys := _keys(setup):
        statements.append(_allow("Keys", ("kms:Decrypt",), keys, _via_s3(setup)))
    return document(*statements)


def revoker_permissions(setup: SetUp) -> Document:
    """Give what the revoker may do: write the boundary, and see who carries it.

    SECURITY: writing it can only take away, because the targets carry it as their boundary; the fence keeps the role
    from ever being more.
    """
    return document(
        _allow("Write", REVOKES, [setup.boundary]),
        _allow("See", ("iam:GetRole",), [setup.lake]),
        {
            "Sid": "NothingElse",
            "Effect": "Deny",
            "NotAction": [*REVOKES, "iam:GetRole", "sts:GetCallerIdentity"],
            "Resource": "*",
        },
        {"Sid": "NoOtherPolicy", "Effect": "Deny", "Action": [*REVOKES], "NotResource": setup.boundary},
    )


def owner_bucket_policy(setup: SetUp, bucket: ServedBucket) -> Document:
    """Give what the owner of a bucket in another account adds to its policy: sessions with a lease, and they alone."""
    arn = _bucket(bucket)
    leased: Json = {"StringLike": {f"aws:PrincipalTag/{LEASE_TAG}": "?*", "aws:SourceIdentity": "pk-*"}}
    statements = []
    for sid, actions, resource in (
        ("PenstockObjects", _object_actions(setup), f"{arn}/*"),
        ("PenstockLists", ("s3:ListBucket",) if Access.LIST in setup.access else (), arn),
    ):
        if actions:
            statement = _allow(sid, actions, [resource], leased)
            statement["Principal"] = {"AWS": setup.lake}
            statements.append(statement)
    reading = _allow("PenstockQueries", ("s3:GetObject", "s3:ListBucket"), [arn, f"{arn}/*"])
    reading["Principal"] = {"AWS": setup.role("query")}
    return document(*statements, reading)


def _on_buckets(setup: SetUp, account: str, buckets: tuple[ServedBucket, ...]) -> Iterable[Statement]:
    # SECURITY: ARNs of S3 name no account; a bucket that somebody else registers under the name is not ours.
    owned: dict[str, Json] = {"StringEquals": {"aws:ResourceAccount": account}, **_leased()}
    if actions := _object_actions(setup):
        yield _allow(f"Objects{account}", actions, [f"{_bucket(bucket)}/*" for bucket in buckets], owned)
    if Access.LIST in setup.access:
        yield _allow(f"Lists{account}", ("s3:ListBucket",), [_bucket(bucket) for bucket in buckets], owned)


def _logins(setup: SetUp) -> Iterable[Statement]:
    cluster = setup.cluster
    if cluster is None:
        return
    users = _redshift(setup, f"dbuser:{cluster.identifier}/{USER_PREFIX}*")
    place = _redshift(setup, f"dbname:{cluster.identifier}/{cluster.database}")
    yield _allow("Login", ("redshift:GetClusterCredentials",), [users, place])
    groups = [_redshift(setup, f"dbgroup:{cluster.identifier}/{group}") for group in cluster.groups]
    if groups:
        yield _allow("Groups", ("redshift:JoinGroup",), groups)
    # SECURITY: a superuser's name gets a superuser's password: no name without the prefix, on no cluster.
    everywhere: list[Json] = [
        f"arn:aws:redshift:*:{setup.account}:dbuser:*/{USER_PREFIX}*",
        f"arn:aws:redshift:*:{setup.account}:dbname:*/*",
    ]
    yield {
        "Sid": "NeverAdministrator",
        "Effect": "Deny",
        "Action": ["redshift:GetClusterCredentials"],
        "NotResource": everywhere,
    }


def _only_leased() -> Iterable[Statement]:
    # SECURITY: a Deny holds beside resource policies and whatever else is attached to the role; without a lease it is
    # powerless even where a bucket lets everybody in.
    for sid, key in (("NoLease", f"aws:PrincipalTag/{LEASE_TAG}"), ("NoIdentity", "aws:SourceIdentity")):
        yield {"Sid": sid, "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Null": {key: "true"}}}


def _allow(sid: str, actions: Iterable[str], resources: Iterable[str] = (), condition: Json | None = None) -> Statement:
    statement: Statement = {"Sid": sid, "Effect": "Allow", "Action": [*actions]}
    if resources := [*resources]:
        statement["Resource"] = [*resources]
    if condition is not None:
        statement["Condition"] = condition
    return statement


def _trusted(sid: str, setup: SetUp, actions: Iterable[str], condition: Json) -> Statement:
    statement = _allow(sid, actions, condition=condition)
    statement["Principal"] = {"AWS": setup.broker}
    return statement


def _actions(statement: Statement) -> list[str]:
    actions = statement["Action"]
    return [str(action) for action in actions] if isinstance(actions, list) else [str(actions)]


def _leased() -> dict[str, Json]:
    return {"Null": {f"aws:PrincipalTag/{LEASE_TAG}": "false"}}


def _via_s3(setup: SetUp) -> dict[str, Json]:
    return {"StringEquals": {"kms:ViaService": f"s3.{setup.region}.amazonaws.com"}}


def _keys(setup: SetUp) -> list[str]:
    return sorted({bucket.key for bucket in setup.buckets if bucket.key is not None})


def _object_actions(setup: SetUp) -> tuple[str, ...]:
    return tuple(action for access in _sorted(setup) for action in _OBJECT_ACTIONS.get(access, ()))


def _sorted(setup: SetUp) -> list[Access]:
    return [access for access in Access if access in setup.access]


def _bucket(bucket: ServedBucket) -> str:
    return f"arn:aws:s3:::{bucket.name}"


def _redshift(setup: SetUp, resource: str) -> str:
    return f"arn:aws:redshift:{setup.region}:{setup.account}:{resource}"
