"""What grants of the caller cover a request: ARNs by grants on S3, tables by RAW, and nothing else.

A table stands for its location. RAW alone opens nothing: the table must exist for the caller, and closed locations are
checked for it as for every ARN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock_server.credentials.arns import RequestedArn, parse_s3_arn
from penstock_server.credentials.requests import AwsCredentialRequest
from penstock_server.errors import AccessDenied, InvalidRequest, Reason
from penstock_server.model.decision import (
    Access,
    AwsDecision,
    AwsOutcome,
    Denied,
    S3Scope,
    TableDecision,
    TableHidden,
)
from penstock_server.model.dynamodb import DynamoDbScope, DynamoDbTarget, parse_target
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.model.resource import S3Location, S3Permission, TableName
from penstock_server.model.services import (
    PERMISSIONS,
    Service,
    ServiceScope,
    ServiceTarget,
    parse_service_target,
    service_of,
)
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.evaluation import resolve, table_not_found
from penstock_server.policy.items.decision import ItemsRequest, decide_items
from penstock_server.policy.resources import S3Request, decide_raw, decide_s3
from penstock_server.policy.services.decision import ServiceRequest, decide_services

MAX_NAME_PARTS = 3
_DYNAMODB = "arn:aws:dynamodb:"
_ITEMS_ACCESS = frozenset({Access.READ, Access.WRITE})
_TABLE_ACCESS = frozenset({Access.READ, Access.LIST})
_TABLE_PERMISSIONS = {Access.READ: (S3Permission.READ, S3Permission.LIST), Access.LIST: (S3Permission.LIST,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """Scopes that grants give, the keys that were requested, and the bounds that the used grants state.

    `tables` are those whose files were asked for by their name, `targets` the tables and indexes of DynamoDB,
    `service_targets` what was asked for of services whose resources are named whole.

    INVARIANT: no scope reaches beyond `requested`, so that a check of `requested` is a check of the scopes; the proof
    before issue holds to it (`proof.grounds`).
    """

    scopes: tuple[S3Scope, ...]
    items: tuple[DynamoDbScope, ...]
    requested: tuple[RequestedArn, ...]
    targets: tuple[DynamoDbTarget, ...]
    tables: tuple[TableName, ...]
    grants: tuple[str, ...]
    max_ttl: timedelta | None
    ends: tuple[datetime, ...]
    services: tuple[ServiceScope, ...] = ()
    service_targets: tuple[ServiceTarget, ...] = ()


def cover(policy: BoundPolicy, principal: Principal, request: AwsCredentialRequest, *, facts: RequestFacts) -> Covered:
    """Read the resources of a validated request and find the grants that cover all of them.

    Raises:
        InvalidRequest: a resource is no ARN or name that this door serves.
        NotFound: a table does not exist for the caller.
        QueryError: a name means several of the caller's tables.
        AccessDenied: no grant covers one of them.
    """
    access = frozenset(request.access)
    arns: list[RequestedArn] = []
    tables: list[tuple[str, ...]] = []
    targets: list[DynamoDbTarget] = []
    services: list[ServiceTarget] = []
    for index, text in enumerate(request.resources):
        field = f"resources[{index}]"
        if text.startswith(_DYNAMODB):
            targets.append(_read_target(text, access, field))
        elif service_of(text) is not None:
            services.append(_read_service(text, access, field))
        elif text.startswith("arn:"):
            arns.append(_read_arn(text, access, field))
        else:
            tables.append(_read_name(text, access, field))
    decided = [_table(policy, principal, parts, access, facts) for parts in tables]
    if arns:
        decided.append(_arns(policy, principal, tuple(arns), access, facts))
    if targets:
        decided.append(_items(policy, principal, tuple(dict.fromkeys(targets)), access, facts))
    if services:
        decided.append(_services(policy, principal, tuple(dict.fromkeys(services)), access, facts))
    return _joined(decided)


def _read_target(text: str, access: frozenset[Access], field: str) -> DynamoDbTarget:
    try:
        target = parse_target(text)
    except ValueError as error:
        raise InvalidRequest(field, f"must name a table or an index of DynamoDB: this {error}") from error
    if not access <= _ITEMS_ACCESS:
        raise InvalidRequest("access", "must be `read` or `write` where a table of DynamoDB is named")
    if target.index is not None and Access.WRITE in access:
        raise InvalidRequest(field, "must be a table to be written to, not an index")
    return target


def _read_service(text: str, access: frozenset[Access], field: str) -> ServiceTarget:
    try:
        target = parse_service_target(text)
    except ValueError as error:
        raise InvalidRequest(field, f"must name one resource of AWS: this {error}") from error
    known = PERMISSIONS[target.service]
    if not access & known.keys():
        words = " or ".join(f"`{each.value}`" for each in known)
        raise InvalidRequest("access", f"must have {words} where a resource of {target.service} is named")
    if target.service is Service.KINESIS and "/consumer/" in target.name and Access.WRITE in access:
        raise InvalidRequest(field, "must be a stream to be written to, not a consumer")
    return target


def _read_arn(text: str, access: frozenset[Access], field: str) -> RequestedArn:
    arn = parse_s3_arn(text, field=field)
    if arn.exact and Access.LIST in access:
        raise InvalidRequest(
            field,
            "must be a prefix that ends in `/*` to be listed",
            hint="ask to read the object, or to list its prefix",
        )
    return arn


def _read_name(text: str, access: frozenset[Access], field: str) -> tuple[str, ...]:
    if ":" in text or "/" in text:
        raise InvalidRequest(
            field, "must be `arn:aws:s3:::BUCKET/KEY`, `arn:aws:s3:::BUCKET/PREFIX/*` or a table's name"
        )
    parts = tuple(text.split("."))
    if len(parts) > MAX_NAME_PARTS or not all(parts) or not text.isprintable():
        raise InvalidRequest(field, "must be an ARN, or a table's name such as `catalog.database.table`")
    if not access <= _TABLE_ACCESS:
        raise InvalidRequest("access", "must be `read` or `list` where a table is named")
    return parts


def _arns(
    policy: BoundPolicy,
    principal: Principal,
    arns: tuple[RequestedArn, ...],
    access: frozenset[Access],
    facts: RequestFacts,
) -> Covered:
    requests = tuple(S3Request(location=arn.location, exact=arn.exact, access=access) for arn in arns)
    decision = _allowed(decide_s3(policy, principal, requests, facts=facts))
    requested = {(arn.location, arn.exact) for arn in arns}
    if any((scope.location, scope.exact) not in requested for scope in decision.scopes):
        raise RuntimeError("the decision reaches beyond the request")
    return _covered(decision, decision.scopes, arns, tables=())


def _items(
    policy: BoundPolicy,
    principal: Principal,
    targets: tuple[DynamoDbTarget, ...],
    access: frozenset[Access],
    facts: RequestFacts,
) -> Covered:
    requests = tuple(ItemsRequest(target=target, access=access) for target in targets)
    decision = decide_items(policy, principal, requests, facts=facts)
    if isinstance(decision, Denied):
        raise AccessDenied(Reason.NOT_PERMITTED, decision.reason, hint=decision.hint)
    return Covered(
        scopes=(),
        items=decision.scopes,
        requested=(),
        targets=targets,
        tables=(),
        grants=decision.grants,
        max_ttl=decision.max_ttl,
        ends=() if decision.expires_at is None else (decision.expires_at,),
    )


def _services(
    policy: BoundPolicy,
    principal: Principal,
    targets: tuple[ServiceTarget, ...],
    access: frozenset[Access],
    facts: RequestFacts,
) -> Covered:
    # What a service has no permission for is asked of the other resources of the request.
    requests = tuple(
        ServiceRequest(target=target, access=access & PERMISSIONS[target.service].keys()) for target in targets
    )
    decision = decide_services(policy, principal, requests, facts=facts)
    if isinstance(decision, Denied):
        raise AccessDenied(Reason.NOT_PERMITTED, decision.reason, hint=decision.hint)
    return Covered(
        scopes=(),
        items=(),
        requested=(),
        targets=(),
        tables=(),
        grants=decision.grants,
        max_ttl=decision.max_ttl,
        ends=() if decision.expires_at is None else (decision.expires_at,),
        services=decision.scopes,
        service_targets=targets,
    )


def _table(
    policy: BoundPolicy, principal: Principal, parts: tuple[str, ...], access: frozenset[Access], facts: RequestFacts
) -> Covered:
    outcome = resolve(policy, principal, parts, default_catalog=None, facts=facts)
    if isinstance(outcome, TableHidden):
        raise table_not_found(parts)
    schema = outcome.table.schema if isinstance(outcome, TableDecision) else outcome.schema
    decision = _allowed(decide_raw(policy, principal, schema.name, facts=facts))
    if schema.location is None:
        raise RuntimeError("a table without a location was allowed")
    requested = _location_arns(schema.name, schema.location)
    permissions = frozenset(permission for each in access for permission in _TABLE_PERMISSIONS[each])
    scopes = tuple(_scope(arn, permissions) for arn in requested)
    return _covered(decision, tuple(scope for scope in scopes if scope.permissions), requested, tables=(schema.name,))


def _location_arns(name: TableName, location: S3Location) -> tuple[RequestedArn, ...]:
    """Give the keys of a location: all below it, and where it has no closing slash the object of its own name."""
    key = location.key
    below = key if not key or key.endswith("/") else f"{key}/"
    prefix = RequestedArn(text=str(name), location=S3Location(bucket=location.bucket, key=below), exact=False)
    if below == key:
        return (prefix,)
    return (RequestedArn(text=str(name), location=location, exact=True), prefix)


def _scope(arn: RequestedArn, permissions: frozenset[S3Permission]) -> S3Scope:
    given = permissions - {S3Permission.LIST} if arn.exact else permissions
    return S3Scope(location=arn.location, exact=arn.exact, permissions=given)


def _allowed(outcome: AwsOutcome) -> AwsDecision:
    if isinstance(outcome, Denied):
        raise AccessDenied(Reason.NOT_PERMITTED, outcome.reason, hint=outcome.hint)
    return outcome


def _covered(
    decision: AwsDecision,
    scopes: tuple[S3Scope, ...],
    requested: tuple[RequestedArn, ...],
    *,
    tables: tuple[TableName, ...],
) -> Covered:
    return Covered(
        scopes=scopes,
        items=(),
        requested=requested,
        targets=(),
        tables=tables,
        grants=decision.grants,
        max_ttl=decision.max_ttl,
        ends=() if decision.expires_at is None else (decision.expires_at,),
    )


def _joined(parts: Sequence[Covered]) -> Covered:
    return Covered(
        scopes=tuple(scope for part in parts for scope in part.scopes),
        items=tuple(scope for part in parts for scope in part.items),
        requested=tuple(arn for part in parts for arn in part.requested),
        targets=tuple(target for part in parts for target in part.targets),
        tables=tuple(name for part in parts for name in part.tables),
        grants=tuple(sorted({grant for part in parts for grant in part.grants})),
        max_ttl=min((part.max_ttl for part in parts if part.max_ttl is not None), default=None),
        ends=tuple(end for part in parts for end in part.ends),
        services=tuple(scope for part in parts for scope in part.services),
        service_targets=tuple(target for part in parts for target in part.service_targets),
    )
