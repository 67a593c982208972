"""Whether a principal may have AWS credentials for resources that are granted by their whole name.

A grant covers a request where it is on exactly that resource, gives the permission, and every limit of it has its
values for the caller. Grants with the same limits count as one. With different limits the request is denied: no
session policy holds several such sets apart on one resource.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from penstock_server.model.decision import Access, Denied
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.model.services import (
    PERMISSIONS,
    Limit,
    ServiceDecision,
    ServicePermission,
    ServiceScope,
    ServiceTarget,
)
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.credential_grants import (
    BOUND_TO_ADDRESS,
    NOT_COVERED,
    end_by,
    first_end,
    holding_grants,
    least_ttl,
)
from penstock_server.policy.services.reading import DATABASE_USER, is_database_user
from penstock_server.policy.situation import Situation
from penstock_server.policy.source import ServiceGrant

_APART: Final = "your grants on this resource have different limits, which no session can hold apart"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRequest:
    """What is asked of one resource; `access` has only what `PERMISSIONS` knows of its service."""

    target: ServiceTarget
    access: frozenset[Access]


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenService:
    """A grant with its limits for the caller."""

    grant: ServiceGrant
    limits: tuple[Limit, ...]


def decide_services(
    policy: BoundPolicy, principal: Principal, requests: Sequence[ServiceRequest], *, facts: RequestFacts
) -> ServiceDecision | Denied:
    """Decide whether a principal may have AWS credentials for all of these."""
    situation = Situation.of(policy, principal, facts, carried=True)
    used: dict[str, ServiceGrant] = {}
    scopes: dict[tuple[ServiceTarget, ServicePermission], ServiceScope] = {}
    for request in requests:
        for permission in sorted(PERMISSIONS[request.target.service][access] for access in request.access):
            given = _given(policy, principal, request.target, permission, situation)
            if not given:
                here = Situation.of(policy, principal, facts, carried=False)
                elsewhere = _given(policy, principal, request.target, permission, here)
                return _denied(policy, BOUND_TO_ADDRESS if elsewhere else NOT_COVERED)
            if len({one.limits for one in given}) > 1:
                return _denied(policy, _APART)
            longest = max(given, key=lambda one: (end_by(one.grant, situation), one.grant.name))
            used[longest.grant.name] = longest.grant
            scopes[request.target, permission] = ServiceScope(
                target=request.target, permission=permission, limits=longest.limits
            )
    if not scopes:
        return _denied(policy, NOT_COVERED)
    grants = [used[name] for name in sorted(used)]
    return ServiceDecision(
        scopes=tuple(scopes[key] for key in sorted(scopes)),
        grants=tuple(grant.name for grant in grants),
        max_ttl=least_ttl(grant.max_ttl for grant in grants),
        expires_at=first_end(situation.end_of(grant) for grant in grants),
        policy_version=policy.version,
    )


def given_services(policy: BoundPolicy, principal: Principal, situation: Situation) -> tuple[GivenService, ...]:
    """Give the grants on such resources that apply to a principal, by name, whatever denials say."""
    found: list[GivenService] = []
    for grant in holding_grants(policy.service_grants, principal, situation):
        limits = _limits(grant, situation)
        # SECURITY: with one value missing the grant says something else than its author meant; it does not apply.
        if limits is not None:
            found.append(GivenService(grant=grant, limits=limits))
    return tuple(found)


def _given(
    policy: BoundPolicy,
    principal: Principal,
    target: ServiceTarget,
    permission: ServicePermission,
    situation: Situation,
) -> tuple[GivenService, ...]:
    """Give the grants that cover a permission on a target; none where a denial takes it away."""
    denials = (denial for denial in policy.service_denials if denial.spared.holds_for(principal))
    if any(permission in denial.takes(target) for denial in denials):
        return ()
    return tuple(
        one
        for one in given_services(policy, principal, situation)
        if one.grant.target == target and permission in one.grant.permissions
    )


def _limits(grant: ServiceGrant, situation: Situation) -> tuple[Limit, ...] | None:
    found: list[Limit] = []
    for limit in grant.limits:
        values = [template.resolved(situation.values) for template in limit.values]
        known = sorted({value for value in values if value is not None})
        if None in values or (limit.name == DATABASE_USER and not all(map(is_database_user, known))):
            return None
        found.append(Limit(name=limit.name, values=tuple(known)))
    return tuple(found)


def _denied(policy: BoundPolicy, reason: str) -> Denied:
    return Denied(
        reason=reason, hint="ask for one resource that you are granted, by its own name", policy_version=policy.version
    )
