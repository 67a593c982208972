"""No session reaches a resource whose own policy lets in everybody, a session by name, or another account."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from penstock_server.aws.probes import Probes
from penstock_server.credentials.covered import Covered
from penstock_server.credentials.resource_policies import (
    GuardedResource,
    Kind,
    ResourcePolicy,
    open_grants,
    read_policy,
)
from penstock_server.credentials.roles import TargetRole
from penstock_server.errors import AccessDenied, PenstockError, Reason, Unavailable
from penstock_server.model.clock import Clock
from penstock_server.model.services import Service

EVERYTHING: Final = "*"
"""In `accepted_resource_grants`: no policy is looked at."""
MAX_AGE_SECONDS: Final = 300.0
"""How long a policy that lets nobody else in counts."""
RETRY_SECONDS: Final = 15.0
"""How long any other finding does: who mends a policy or a right need not wait long."""

_KINDS: Final = {Service.KINESIS: Kind.STREAM, Service.KMS: Kind.KEY}
_ACCEPT: Final = "or list it under `credentials.accepted_resource_grants`"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    policy: ResourcePolicy
    at: float


class ResourceGrants:
    """Looks at the policies of what sessions are planned for; `accepted` are ARNs that are not looked at."""

    def __init__(self, probes: Probes, *, accepted: Iterable[str], clock: Clock) -> None:
        self._probes = probes
        self._accepted = frozenset(accepted)
        self._clock = clock
        self._seen: dict[str, _Seen] = {}

    async def require_closed(self, role: TargetRole, covered: Covered) -> bool:
        """Refuse a scope that lies in a resource with an open grant; tell whether AWS was asked.

        SECURITY: to be called of scopes that grants cover: nobody learns of other names, or has AWS asked about them.

        Raises:
            AccessDenied: the policy of a resource lets others in (`NOT_CONFIGURED`).
            Unavailable: a policy may not be read (`AWS_REFUSED`), or could not be (`AWS_UNAVAILABLE`).
        """
        asked = False
        for resource in _resources(covered):
            if EVERYTHING in self._accepted or resource.arn in self._accepted:
                continue
            seen = self._fresh(resource, role)
            if seen is None:
                asked = True
                at = self._clock.monotonic()
                seen = _Seen(policy=await read_policy(self._probes, resource), at=at)
                self._seen[resource.arn] = seen
            refusal = _refusal(resource, seen.policy, own_accounts(role, resource))
            if refusal is not None:
                raise refusal
        return asked

    def _fresh(self, resource: GuardedResource, role: TargetRole) -> _Seen | None:
        seen = self._seen.get(resource.arn)
        if seen is None:
            return None
        closed = _refusal(resource, seen.policy, own_accounts(role, resource)) is None
        age = self._clock.monotonic() - seen.at
        return seen if age < (MAX_AGE_SECONDS if closed else RETRY_SECONDS) else None


def own_accounts(role: TargetRole, resource: GuardedResource) -> frozenset[str]:
    """Give the accounts that the policy of a served resource may name: the role's, and the owner's of the bucket."""
    owner = dict(role.bucket_accounts).get(resource.arn.rpartition(":")[2]) if resource.kind is Kind.BUCKET else None
    return frozenset({role.account, owner or role.account})


def bucket_of(name: str) -> GuardedResource:
    """Give a bucket by its name."""
    return GuardedResource(kind=Kind.BUCKET, arn=f"arn:aws:s3:::{name}")


def _resources(covered: Covered) -> tuple[GuardedResource, ...]:
    """Give what a scope lies in, each once: an index lies in its table, a consumer in its stream."""
    found = {bucket_of(arn.location.bucket): None for arn in covered.requested}
    for target in covered.targets:
        found[GuardedResource(kind=Kind.TABLE, arn=str(replace(target, index=None)))] = None
    for service in covered.service_targets:
        kind = _KINDS.get(service.service)
        if kind is not None:
            found[GuardedResource(kind=kind, arn=str(service))] = None
            found[GuardedResource(kind=kind, arn=str(service).partition("/consumer/")[0])] = None
    return tuple(found)


def _refusal(resource: GuardedResource, policy: ResourcePolicy, own: frozenset[str]) -> PenstockError | None:
    metadata = (("resource", resource.arn),)
    if policy.statements is None:
        return Unavailable(
            Reason.AWS_REFUSED if policy.denied else Reason.AWS_UNAVAILABLE,
            f"the policy of `{resource.arn}` could not be read, and no session is given for what it may leave open",
            retry_after_seconds=None if policy.denied else RETRY_SECONDS,
            hint=f"ask the operator to let the broker's role read it, {_ACCEPT}",
            metadata=metadata,
            detail=policy.why,
        )
    wide = open_grants(policy.statements, own)
    if wide:
        # SECURITY: whom the policy names is the operator's to know, in the audit.
        return AccessDenied(
            Reason.NOT_CONFIGURED,
            f"the policy of `{resource.arn}` lets in others than the roles of sessions",
            hint=f"ask the operator to narrow it, {_ACCEPT}",
            metadata=metadata,
            detail="; ".join(wide),
        )
    return None
