"""Decisions about AWS resources: S3 objects and prefixes, the files of a table, Redshift logins.

Every asked ARN must be covered by grants for all that is asked of it, else the whole request is denied, with one text
whether or not there is such a bucket. A grant covers a prefix only if it covers every key that begins with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from penstock_server.model.decision import (
    Access,
    AwsDecision,
    AwsOutcome,
    Denied,
    RedshiftDecision,
    RedshiftOutcome,
    S3Scope,
)
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.model.resource import S3Location, S3Permission, TableName, TablePermission
from penstock_server.policy.applicable_grants import describing, in_force, named_grants
from penstock_server.policy.bound import BoundPolicy, selectors_of
from penstock_server.policy.conditions.posture import all_met
from penstock_server.policy.credential_grants import (
    BOUND_TO_ADDRESS,
    FOR_EVER,
    NOT_COVERED,
    end_by,
    first_end,
    holding_grants,
    least_ttl,
)
from penstock_server.policy.situation import Situation
from penstock_server.policy.source import RedshiftGrant, S3Denial, S3Grant

_NEEDED: Final = {Access.READ: S3Permission.READ, Access.LIST: S3Permission.LIST, Access.WRITE: S3Permission.WRITE}
_BROUGHT: Final = {
    Access.READ: (S3Permission.LIST, S3Permission.VERSIONS),
    Access.LIST: (),  # VERSIONS reads objects, which nobody asked for here
    Access.WRITE: (S3Permission.DELETE,),
}
"""What comes along where it is granted too: permissions of their own that no access asks for by itself."""

_NOT_AS_REQUIRED: Final = "the data is not known to be as a grant of yours that covers this requires it"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Request:
    """What is asked of one S3 prefix, or of one object where `exact`; `access` is never empty.

    `location.key` is literal text, and ends in `/` or is empty where it is a prefix.
    """

    location: S3Location
    exact: bool
    access: frozenset[Access]


def decide_s3(
    policy: BoundPolicy, principal: Principal, requests: tuple[S3Request, ...], *, facts: RequestFacts
) -> AwsOutcome:
    """Decide whether a principal may have AWS credentials for all of these.

    Closed locations are not looked at here: the door asks `decide` for each table that lives there.
    """
    situation = Situation.of(policy, principal, facts, carried=True)
    grants = holding_grants(policy.s3_grants, principal, situation)
    denials = [denial for denial in policy.s3_denials if denial.spared.holds_for(principal)]
    used: dict[str, S3Grant] = {}
    scopes: list[S3Scope] = []
    for request in requests:
        denied = _denied(request.location, exact=request.exact, denials=denials)
        covering = _covering(request, grants, denied, situation)
        if covering is None:
            return _denied_s3(policy, _why_not_covered(policy, principal, request, denied, facts))
        scopes.append(S3Scope(location=request.location, exact=request.exact, permissions=frozenset(covering)))
        used.update((grant.name, grant) for grant in covering.values())
    if not scopes:
        return _denied_s3(policy, NOT_COVERED)
    chosen = [used[name] for name in sorted(used)]
    return AwsDecision(
        scopes=tuple(scopes),
        grants=tuple(grant.name for grant in chosen),
        max_ttl=least_ttl(grant.max_ttl for grant in chosen),
        expires_at=first_end(situation.end_of(grant) for grant in chosen),
        policy_version=policy.version,
    )


def _why_not_covered(
    policy: BoundPolicy,
    principal: Principal,
    request: S3Request,
    denied: frozenset[S3Permission],
    facts: RequestFacts,
) -> str:
    """Say what keeps the caller's own grants from covering a request; one text where they never would."""
    here = Situation.of(policy, principal, facts, carried=False)
    if _covering(request, holding_grants(policy.s3_grants, principal, here), denied, here) is not None:
        return BOUND_TO_ADDRESS
    own = {grant for selector in selectors_of(principal) for grant in policy.s3_grants.get(selector, ())}
    met = all_met((grant.conditions for grant in own if grant.conditions is not None), at=facts.at)
    good = Situation.of(policy, principal, replace(facts, posture=met), carried=True)
    if _covering(request, holding_grants(policy.s3_grants, principal, good), denied, good) is not None:
        return _NOT_AS_REQUIRED
    return NOT_COVERED


def decide_raw(policy: BoundPolicy, principal: Principal, table: TableName, *, facts: RequestFacts) -> AwsOutcome:
    """Decide whether a principal may have the files of a table: RAW on a table that exists for them.

    The door must also find the table, and every other one at its location, `full`.
    """
    bound = policy.tables.get(table.key())
    situation = Situation.of(policy, principal, facts, carried=True)
    every = named_grants(policy, principal, table.key())
    named = in_force(every, situation)
    raw = [grant for grant in named if TablePermission.RAW in grant.permissions]
    here = Situation.of(policy, principal, facts, carried=False)
    bound_to_address = not raw and any(
        TablePermission.RAW in grant.permissions and here.holds(grant) for grant in every
    )
    if (
        bound is None
        or bound.schema.location is None
        or not raw
        or not describing(named)
        or TablePermission.RAW in bound.denied(principal)
        or _files_denied(policy, principal, bound.schema.location)
    ):
        return Denied(
            reason=BOUND_TO_ADDRESS if bound_to_address else "no grant of yours gives the files of this table",
            hint="query it, or ask for the permission RAW on it",
            policy_version=policy.version,
        )
    # The one that lasts longest is enough by itself.
    best = max(raw, key=lambda grant: (situation.end_of(grant) or FOR_EVER, grant.name))
    return AwsDecision(
        scopes=_file_scopes(bound.schema.location),
        grants=(best.name,),
        max_ttl=None,
        expires_at=situation.end_of(best),
        policy_version=policy.version,
    )


def decide_redshift(policy: BoundPolicy, principal: Principal, login: str, *, facts: RequestFacts) -> RedshiftOutcome:
    """Decide whether a principal may log in to a warehouse, by its configured name."""
    situation = Situation.of(policy, principal, facts, carried=True)
    named = holding_grants(policy.redshift_grants, principal, situation)
    grants = _adding_groups([grant for grant in named if grant.login.value == login], situation)
    denied = any(
        denial.login.value == login and denial.spared.holds_for(principal) for denial in policy.redshift_denials
    )
    if denied or not grants:
        return Denied(
            reason="no grant of yours gives this Redshift login",
            hint="ask for the permission CONNECT on it",
            policy_version=policy.version,
        )
    return RedshiftDecision(
        login=login,
        database_groups=tuple(sorted({group for grant in grants for group in grant.database_groups})),
        grants=tuple(grant.name for grant in grants),
        max_ttl=least_ttl(grant.max_ttl for grant in grants),
        expires_at=first_end(situation.end_of(grant) for grant in grants),
        policy_version=policy.version,
    )


def _file_scopes(location: S3Location) -> tuple[S3Scope, ...]:
    """Give the keys of a location: all below it, and where it has no closing slash the object of its own name."""
    below = location.key if not location.key or location.key.endswith("/") else location.key + "/"
    prefix = S3Scope(
        location=S3Location(bucket=location.bucket, key=below),
        exact=False,
        permissions=frozenset({S3Permission.READ, S3Permission.LIST}),
    )
    if below == location.key:
        return (prefix,)
    return S3Scope(location=location, exact=True, permissions=frozenset({S3Permission.READ})), prefix


def _denied(location: S3Location, *, exact: bool, denials: Iterable[S3Denial]) -> frozenset[S3Permission]:
    """Give what denials take away anywhere in a scope, with what goes along: a session cannot leave out a part."""
    found = {
        permission
        for denial in denials
        if denial.pattern.overlaps(location, exact=exact)
        for permission in denial.permissions
    }
    # SECURITY: an older version of an object is read like the object.
    return frozenset(found | {S3Permission.VERSIONS} if S3Permission.READ in found else found)


def _files_denied(policy: BoundPolicy, principal: Principal, location: S3Location) -> bool:
    denials = [denial for denial in policy.s3_denials if denial.spared.holds_for(principal)]
    return any(
        scope.permissions & _denied(scope.location, exact=scope.exact, denials=denials)
        for scope in _file_scopes(location)
    )


def _covering(
    request: S3Request, grants: Sequence[S3Grant], denied: frozenset[S3Permission], situation: Situation
) -> Mapping[S3Permission, S3Grant] | None:
    """Give the grant used for each permission, the longest lasting one; None where a needed one is missing."""
    covering = [grant for grant in grants if _covers(grant, request)]
    used: dict[S3Permission, S3Grant] = {}
    for access in request.access:
        needed = _NEEDED[access]
        if request.exact and needed is S3Permission.LIST:
            return None
        if needed in denied or not _use(needed, covering, used, situation):
            return None
        for brought in _BROUGHT[access]:
            if brought not in denied and not (request.exact and brought is S3Permission.LIST):
                _use(brought, covering, used, situation)
    return used or None


def _use(
    permission: S3Permission, covering: Sequence[S3Grant], used: dict[S3Permission, S3Grant], situation: Situation
) -> bool:
    giving = [grant for grant in covering if permission in grant.permissions]
    if giving:
        used[permission] = max(giving, key=lambda grant: (end_by(grant, situation), grant.name))
    return bool(giving)


def _covers(grant: S3Grant, request: S3Request) -> bool:
    if request.exact:
        return grant.pattern.covers_object(request.location)
    return grant.pattern.covers_prefix(request.location)


def _adding_groups(grants: Sequence[RedshiftGrant], situation: Situation) -> tuple[RedshiftGrant, ...]:
    """Leave out grants that add no database group to those that last longer: their bounds then do not count."""
    chosen: list[RedshiftGrant] = []
    groups: set[str] = set()
    for grant in sorted(grants, key=lambda grant: (end_by(grant, situation), grant.name), reverse=True):
        if not chosen or not groups.issuperset(grant.database_groups):
            chosen.append(grant)
            groups.update(grant.database_groups)
    return tuple(sorted(chosen, key=lambda grant: grant.name))


def _denied_s3(policy: BoundPolicy, reason: str) -> Denied:
    return Denied(
        reason=reason,
        hint="ask for READ, LIST or WRITE on the prefix",
        policy_version=policy.version,
    )
