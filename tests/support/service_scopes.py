"""Generated scopes on resources that are named whole, requests around them, and what each means, said plainly."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from penstock_server.credentials.fit import print_session_policy
from penstock_server.credentials.proof.permits import Decided
from penstock_server.model.services import (
    PERMISSIONS,
    Limit,
    Service,
    ServicePermission,
    ServiceScope,
    parse_service_target,
)

ACCOUNT = "111122223333"
AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ME = "AROAEXAMPLE:pk-someone"
"""The user id of the session that the foreign evaluator is asked about."""


def arn(namespace: str, name: str, region: str = "eu-west-1") -> str:
    return f"arn:aws:{namespace}:{region}:{ACCOUNT}:{name}"


STREAM = arn("kinesis", "stream/clicks")
CONSUMER = f"{STREAM}/consumer/app:1700000000"
KEY = arn("kms", "key/0123abcd-0123-0123-0123-0123456789ab")
CLUSTER = arn("redshift", "cluster:analytics")
WORKGROUP = arn("athena", "workgroup/analysts")
DATABASE = arn("glue", "database/sales")
TABLE = arn("glue", "table/sales/orders")
S3_SERVICE = "s3.eu-west-1.amazonaws.com"
ARNS: tuple[str, ...] = (
    STREAM,
    f"{STREAM}2",
    CONSUMER,
    KEY,
    KEY.replace("0123abcd", "0123abce"),
    CLUSTER,
    f"{CLUSTER}2",
    WORKGROUP,
)
ARNS = (
    *ARNS,
    f"{WORKGROUP}2",
    DATABASE,
    TABLE,
    f"{TABLE}_raw",
    arn("glue", "table/hr/orders"),
    STREAM.replace("eu", "us"),
)
RESOURCES = (*ARNS, f"{CONSUMER}0", arn("glue", "catalog"), arn("glue", "database/hr"), KEY.replace("eu", "us"))
VALUES = ("alice", "bob", "*", "a?b", 'quo"te', "ü", "alice2", "$")

READS: Mapping[str, tuple[str, ...]] = {
    "stream": ("GetRecords", "GetShardIterator", "ListShards", "DescribeStream", "DescribeStreamSummary"),
    "consumer": ("SubscribeToShard", "DescribeStreamConsumer"),
}
ALL_ACTIONS = (
    *(f"kinesis:{name}" for name in (*READS["stream"], *READS["consumer"], "PutRecord", "PutRecords")),
    *("kinesis:ListStreams", "kinesis:RegisterStreamConsumer", "kinesis:DeleteStream", "kinesis:SplitShard"),
    *("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"),
    *("kms:CreateGrant", "kms:ReEncryptFrom", "kms:DescribeKey", "kms:ScheduleKeyDeletion"),
    *("redshift-data:ExecuteStatement", "redshift-data:BatchExecuteStatement", "redshift-data:ListTables"),
    *("redshift-data:GetStatementResult", "redshift-data:DescribeStatement", "redshift-data:CancelStatement"),
    *("redshift-data:ListStatements", "redshift:GetClusterCredentials", "redshift:CreateClusterUser"),
    *("athena:StartQueryExecution", "athena:GetQueryResults", "athena:UpdateWorkGroup", "athena:StartSession"),
    *("glue:GetTable", "glue:GetPartitions", "glue:GetDatabase", "glue:GetTables", "glue:UpdateTable"),
)
STATEMENTS = ("CancelStatement", "DescribeStatement", "GetStatementResult")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceProbe:
    """A request; `context` without the account."""

    action: str
    resource: str
    account: str
    context: tuple[tuple[str, str], ...]


def service_scope(
    text: str, permission: ServicePermission | None = None, **limits: str | tuple[str, ...]
) -> ServiceScope:
    """Give a scope; `context_NAME` limits the encryption context. The least that each service needs is filled in."""
    target = parse_service_target(text)
    known = tuple(PERMISSIONS[target.service].values())
    if not limits and target.service is Service.KMS:
        limits = {"via": S3_SERVICE}
    if not limits and target.service is Service.REDSHIFT_DATA:
        limits = {"database": "dev", "database_user": "pk_alice"}
    found = [
        Limit(name=name.replace("context_", "context:"), values=(values,) if isinstance(values, str) else tuple(values))
        for name, values in sorted(limits.items())
    ]
    return ServiceScope(target=target, permission=permission or known[0], limits=tuple(found))


def random_service_scopes(source: random.Random) -> tuple[ServiceScope, ...]:
    found: list[ServiceScope] = []
    for text in source.sample(ARNS, source.choice((1, 1, 1, 2, 3))):
        target = parse_service_target(text)
        known = list(PERMISSIONS[target.service].values())
        if "/consumer/" in text:
            known = known[:1]
        limits: dict[str, str | tuple[str, ...]] = {}
        if target.service is Service.KMS:
            if source.random() < 0.7:
                limits["via"] = source.choice(((S3_SERVICE,), ("dynamodb.eu-west-1.amazonaws.com", S3_SERVICE)))
            if source.random() < 0.6 or not limits:
                limits["context_tenant"] = source.choice(VALUES)
        found += [
            service_scope(text, permission, **limits)
            for permission in source.sample(known, source.randint(1, len(known)))
        ]
    return tuple(found)


def text_of(scopes: tuple[ServiceScope, ...]) -> str:
    return print_session_policy(scopes, ACCOUNT, None)


def decided(scopes: tuple[ServiceScope, ...]) -> Decided:
    return Decided(scopes=(), services=scopes, account=ACCOUNT, ends=(), session_ends_by=AT + timedelta(hours=1))


def service_probes(source: random.Random, scopes: tuple[ServiceScope, ...], count: int) -> list[ServiceProbe]:
    return [_probe(source, source.choice(scopes)) for _ in range(count)]


def _probe(source: random.Random, scope: ServiceScope) -> ServiceProbe:
    namespace = str(scope.target).split(":")[2]
    near = [action for action in ALL_ACTIONS if action.startswith((f"{namespace}:", f"{namespace}-"))]
    action = source.choice(near if source.random() < 0.95 else ALL_ACTIONS)
    resource = _resource(source, action, str(scope.target))
    context: dict[str, str] = {"aws:ViaAWSService": source.choice(("true", "false", "true")), "aws:userid": ME}
    limits = {limit.name: limit.values for limit in scope.limits}
    if source.random() < 0.85:
        near_via = limits.get("via", (S3_SERVICE,))
        context["kms:ViaService"] = source.choice((*near_via, *near_via, "lambda.eu-west-1.amazonaws.com"))
    if source.random() < 0.85:
        tenant = limits.get("context:tenant", ("alice",))
        context["kms:EncryptionContext:tenant"] = source.choice((*tenant, *tenant, "elsewhere"))
    for key in ("statement", "session"):
        if source.random() < 0.7:
            owner = source.choice((ME, ME, "AROAEXAMPLE:pk-other"))
            context[f"redshift-data:{key}-owner-iam-userid"] = owner
    return ServiceProbe(action=action, resource=resource, account=ACCOUNT, context=tuple(sorted(context.items())))


def _resource(source: random.Random, action: str, near: str) -> str:
    """Give a resource of the action's type: the one of the scope, if it is of that type, or another."""
    service, _, name = action.partition(":")
    if name in (*STATEMENTS, "ListStatements", "ListStreams"):
        return "*"
    if service == "redshift":
        named = ("dbuser", "pk_alice"), ("dbuser", "pk_bob"), ("dbuser", "awsuser"), ("dbname", "dev"), ("dbname", "hr")
        kind, who = source.choice(named if name == "GetClusterCredentials" else named[:3])
        return f"{source.choice((CLUSTER, f'{CLUSTER}2')).replace(':cluster:', f':{kind}:')}/{who}"
    types: tuple[str, ...] = (f":{service.removesuffix('-data')}:",)
    if service == "kinesis":
        types = ("/consumer/",) if name in READS["consumer"] else (":stream/",)
    elif service == "glue":
        types = (":catalog", ":database/") if name == "GetDatabase" else (":catalog", ":database/", ":table/")
    fitting = [each for each in RESOURCES if any(kind in each for kind in types)]
    if types == (":stream/",):
        fitting = [each for each in fitting if "/consumer/" not in each]
    return near if near in fitting and source.random() < 0.75 else source.choice(fitting)


def services_meant(scopes: tuple[ServiceScope, ...], probe: ServiceProbe) -> bool:
    return any(_means(scope, probe) for scope in scopes)


def _means(scope: ServiceScope, probe: ServiceProbe) -> bool:
    service, _, action = probe.action.partition(":")
    if service == "redshift-data" and action in STATEMENTS:
        mine = dict(probe.context).get("redshift-data:statement-owner-iam-userid") == ME
        return scope.target.service is Service.REDSHIFT_DATA and mine
    kinds = {
        Service.KINESIS: ("kinesis", _stream_means),
        Service.KMS: ("kms", _key_means),
        Service.REDSHIFT_DATA: ("redshift", _cluster_means),
        Service.ATHENA: ("athena", _workgroup_means),
        Service.GLUE: ("glue", _metadata_means),
    }
    namespace, means = kinds[scope.target.service]
    return service.startswith(namespace) and probe.account == ACCOUNT and means(scope, probe, action)


def _stream_means(scope: ServiceScope, probe: ServiceProbe, action: str) -> bool:
    actions = READS["consumer" if "/consumer/" in scope.target.name else "stream"]
    if scope.permission is ServicePermission.WRITE:
        actions = ("PutRecord", "PutRecords")
    return action in actions and probe.resource == str(scope.target)


def _key_means(scope: ServiceScope, probe: ServiceProbe, action: str) -> bool:
    context = dict(probe.context)
    limits = {limit.name: limit.values for limit in scope.limits}
    actions: tuple[str, ...] = ("Decrypt",)
    if scope.permission is ServicePermission.ENCRYPT:
        actions = ("Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext")
    via = "via" not in limits or context.get("kms:ViaService") in limits["via"]
    tenant = "context:tenant" not in limits
    tenant = tenant or context.get("kms:EncryptionContext:tenant") in limits["context:tenant"]
    return action in actions and probe.resource == str(scope.target) and via and tenant


def _cluster_means(scope: ServiceScope, probe: ServiceProbe, action: str) -> bool:
    context, cluster = dict(probe.context), str(scope.target)
    if action == "GetClusterCredentials":
        limits = {limit.name: limit.values for limit in scope.limits}
        kinds = (("dbuser", limits["database_user"]), ("dbname", limits["database"]))
        allowed = {f"{cluster.replace(':cluster:', f':{kind}:')}/{name}" for kind, (name,) in kinds}
        return probe.resource in allowed and context["aws:ViaAWSService"] == "true"
    owner = context.get("redshift-data:session-owner-iam-userid", ME)
    return action == "ExecuteStatement" and probe.resource == cluster and owner == ME


def _workgroup_means(scope: ServiceScope, probe: ServiceProbe, action: str) -> bool:
    return action in ("StartQueryExecution", "GetQueryResults") and probe.resource == str(scope.target)


def _metadata_means(scope: ServiceScope, probe: ServiceProbe, action: str) -> bool:
    target = scope.target
    kind, database, *_ = target.name.split("/")
    around = (arn("glue", "catalog", target.region), arn("glue", f"database/{database}", target.region))
    if action == "GetDatabase":
        return probe.resource in around
    return kind == "table" and action in ("GetTable", "GetPartitions") and probe.resource in (*around, str(target))
