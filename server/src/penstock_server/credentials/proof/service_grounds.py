"""What a decision on resources that are named whole rests on, and whether it stays within it.

Each decided scope must be what one grant that the decision names says, its limits read anew from the texts with the
claims of the caller put in here; taken away by no denial; and asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from penstock_server.credentials.proof.outcomes import Doubt, Refused, Request
from penstock_server.credentials.proof.service_permits import service_arn, service_permits
from penstock_server.model.decision import Access
from penstock_server.model.services import ServicePermission, ServiceScope

_ASKED_BY: Final = {
    Access.READ: frozenset(
        {ServicePermission.READ, ServicePermission.DECRYPT, ServicePermission.QUERY, ServicePermission.DESCRIBE}
    ),
    Access.WRITE: frozenset({ServicePermission.WRITE, ServicePermission.ENCRYPT}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedService:
    """What one grant gives; `limits` pair a name with values, not with texts of the policy."""

    resource: str
    permissions: frozenset[ServicePermission]
    limits: frozenset[tuple[str, frozenset[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceGrounds:
    """What a decision rests on. `denied` and `asked` pair an ARN with permissions."""

    granted: tuple[GrantedService, ...]
    denied: tuple[tuple[str, frozenset[ServicePermission]], ...]
    asked: tuple[tuple[str, frozenset[ServicePermission]], ...]


def asked_services(arn: str, access: Iterable[Access]) -> tuple[str, frozenset[ServicePermission]]:
    """Give what a requested ARN asks for."""
    return arn, frozenset[ServicePermission]().union(*(_ASKED_BY.get(each, ()) for each in access))


def services_beyond(scopes: Iterable[ServiceScope], grounds: ServiceGrounds) -> Refused | None:
    """Give what a decision holds beyond its grounds, or None."""
    for scope in scopes:
        resource = service_arn(scope)
        limits = frozenset((limit.name, frozenset(limit.values)) for limit in scope.limits)
        if any(_lies_in(resource, arn) and scope.permission in some for arn, some in grounds.denied):
            return _refused(Doubt.DENIED, scope)
        if not any(resource == arn and scope.permission in some for arn, some in grounds.asked):
            return _refused(Doubt.NOT_ASKED, scope)
        if not any(
            grant.resource == resource and scope.permission in grant.permissions and grant.limits == limits
            for grant in grounds.granted
        ):
            return _refused(Doubt.NOT_GRANTED, scope)
    return None


def _lies_in(resource: str, denied: str) -> bool:
    database = denied.replace(":database/", ":table/")
    return (
        resource == denied
        or (denied.startswith("arn:aws:kinesis:") and resource.startswith(f"{denied}/consumer/"))
        or (database != denied and resource.startswith(f"{database}/"))
    )


def _refused(doubt: Doubt, scope: ServiceScope) -> Refused:
    action = min((action for permit in service_permits(scope) for action in permit.actions), default="")
    context = tuple((limit.name, ", ".join(limit.values)) for limit in scope.limits)
    return Refused(doubt=doubt, witness=Request(action=action, resource=service_arn(scope), context=context))
