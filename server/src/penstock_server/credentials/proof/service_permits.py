"""What was decided on resources that are named whole, said once more: which requests a session may make.

The tables of actions stand here a second time on purpose: a mistake in the builders' is not to be repeated.
Source: AWS service authorization reference of Amazon Kinesis Data Streams, AWS Key Management Service, Amazon Redshift
Data API, Amazon Redshift, Amazon Athena and AWS Glue (actions, resource types, condition keys).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from penstock_server.credentials.proof.keys import (
    ENCRYPTION_CONTEXT,
    SELF,
    SESSION_OWNER,
    STATEMENT_OWNER,
    VIA_AWS_SERVICE,
    VIA_SERVICE,
)
from penstock_server.credentials.proof.patterns import NotUnderstood, Pattern, beginning, text_of
from penstock_server.model.services import Service, ServicePermission, ServiceScope

_Key = tuple[str, Pattern]

_STREAM_READ: Final = frozenset(
    {
        "kinesis:getrecords",
        "kinesis:getsharditerator",
        "kinesis:listshards",
        "kinesis:describestream",
        "kinesis:describestreamsummary",
    }
)
_CONSUMED: Final = frozenset({"kinesis:subscribetoshard", "kinesis:describestreamconsumer"})
_STREAM_WRITE: Final = frozenset({"kinesis:putrecord", "kinesis:putrecords"})
_DECRYPT: Final = frozenset({"kms:decrypt"})
_ENCRYPT: Final = frozenset({"kms:encrypt", "kms:generatedatakey", "kms:generatedatakeywithoutplaintext"})
_STATEMENTS: Final = frozenset({"redshift-data:executestatement"})
_OWN_STATEMENTS: Final = frozenset(
    {
        "redshift-data:describestatement",
        "redshift-data:getstatementresult",
        "redshift-data:cancelstatement",
    }
)
_PASSWORD: Final = frozenset({"redshift:getclustercredentials"})
_QUERIES: Final = frozenset(
    {
        "athena:startqueryexecution",
        "athena:stopqueryexecution",
        "athena:getqueryexecution",
        "athena:batchgetqueryexecution",
        "athena:listqueryexecutions",
        "athena:getqueryresults",
        "athena:getqueryresultsstream",
        "athena:getworkgroup",
    }
)
_DATABASE: Final = frozenset({"glue:getdatabase"})
_TABLE: Final = frozenset({"glue:gettable", "glue:getpartition", "glue:getpartitions", "glue:batchgetpartition"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePermit:
    """Actions on one resource where each alternative of `within` is met, and each key of `if_there` if it is there."""

    actions: frozenset[str]
    resource: Pattern
    within: tuple[_Key, ...] = ()
    if_there: tuple[_Key, ...] = ()


def service_permits(scope: ServiceScope) -> tuple[ServicePermit, ...]:
    """Give the permits of a scope; none where it is of a kind that no session may have.

    Raises:
        NotUnderstood: a limit is not known here.
    """
    kind, permission = scope.target.service, scope.permission
    consumer = "/consumer/" in scope.target.name
    limits = {limit.name: limit.values for limit in scope.limits}
    resource = text_of(service_arn(scope))
    match kind, permission:
        case Service.KINESIS, ServicePermission.READ if not limits:
            return (ServicePermit(actions=_CONSUMED if consumer else _STREAM_READ, resource=resource),)
        case Service.KINESIS, ServicePermission.WRITE if not consumer and not limits:
            return (ServicePermit(actions=_STREAM_WRITE, resource=resource),)
        case Service.KMS, ServicePermission.DECRYPT | ServicePermission.ENCRYPT if limits:
            actions = _DECRYPT if permission is ServicePermission.DECRYPT else _ENCRYPT
            return tuple(
                ServicePermit(actions=actions, resource=resource, within=within) for within in _key_limits(limits)
            )
        case Service.REDSHIFT_DATA, ServicePermission.QUERY if limits.keys() == {"database", "database_user"}:
            return _redshift(scope, limits)
        case Service.ATHENA, ServicePermission.QUERY if not limits:
            return (ServicePermit(actions=_QUERIES, resource=resource),)
        case Service.GLUE, ServicePermission.DESCRIBE if not limits:
            return _glue(scope)
        case _:
            return ()


def service_arn(scope: ServiceScope) -> str:
    """Give the ARN of a scope's resource."""
    namespaces = {
        Service.KINESIS: "kinesis",
        Service.KMS: "kms",
        Service.REDSHIFT_DATA: "redshift",
        Service.ATHENA: "athena",
        Service.GLUE: "glue",
    }
    target = scope.target
    return f"arn:aws:{namespaces[target.service]}:{target.region}:{target.account}:{target.name}"


def _key_limits(limits: dict[str, tuple[str, ...]]) -> list[tuple[_Key, ...]]:
    """Give each way in which the limits of a key can be met."""
    ways: list[tuple[_Key, ...]] = [()]
    for name, values in sorted(limits.items()):
        if name == "via":
            key = VIA_SERVICE
        elif name.startswith("context:"):
            key = f"{ENCRYPTION_CONTEXT}{name.removeprefix('context:').lower()}"
        else:
            raise NotUnderstood(f"the limit {name!r} of a key")
        ways = [(*way, (key, text_of(value))) for way in ways for value in values]
    return ways


def _redshift(scope: ServiceScope, limits: dict[str, tuple[str, ...]]) -> tuple[ServicePermit, ...]:
    arn = service_arn(scope)
    names = [("dbname", database) for database in limits["database"]]
    names += [("dbuser", user) for user in limits["database_user"]]
    return (
        ServicePermit(actions=_STATEMENTS, resource=text_of(arn), if_there=((SESSION_OWNER, text_of(SELF)),)),
        ServicePermit(actions=_OWN_STATEMENTS, resource=beginning(""), within=((STATEMENT_OWNER, text_of(SELF)),)),
        *(
            ServicePermit(
                actions=_PASSWORD,
                resource=text_of(f"{arn.replace(':cluster:', f':{kind}:')}/{name}"),
                within=((VIA_AWS_SERVICE, text_of("true")),),
            )
            for kind, name in names
        ),
    )


def _glue(scope: ServiceScope) -> tuple[ServicePermit, ...]:
    arn = service_arn(scope)
    place = arn.removesuffix(scope.target.name)
    kind, database, *_ = scope.target.name.split("/")
    around = (text_of(f"{place}catalog"), text_of(f"{place}database/{database}"))
    found = [ServicePermit(actions=_DATABASE, resource=resource) for resource in around]
    if kind == "table":
        found += [ServicePermit(actions=_TABLE, resource=resource) for resource in (*around, text_of(arn))]
    return tuple(found)
