"""What is decided of a request before AWS is asked: its grants, role, lifetime and proved session policy.

Sessions and Spark jobs are planned here alike, and looked at anew here when the policy changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock_server.config.settings import CredentialSettings
from penstock_server.credentials import lifetimes
from penstock_server.credentials.closed_locations import ConfiguredLocations, require_open
from penstock_server.credentials.closed_services import require_open_services
from penstock_server.credentials.covered import Covered, cover
from penstock_server.credentials.decision_grounds import grounds_of, item_grounds_of, service_grounds_of
from penstock_server.credentials.fit import Scope, SessionPolicyPrinter, fit
from penstock_server.credentials.grounds_of_leases import LeaseGrounds, reach_of
from penstock_server.credentials.leases import CLOCK_TOLERANCE
from penstock_server.credentials.location_index import LocationIndex
from penstock_server.credentials.proof.outcomes import ProvedPolicy
from penstock_server.credentials.proof.permits import Decided
from penstock_server.credentials.proved_policies import require_proved
from penstock_server.credentials.requests import NOT_REVOCABLE, AwsCredentialRequest
from penstock_server.credentials.resource_grants import ResourceGrants
from penstock_server.credentials.roles import RoleTable, TargetRole, read_roles
from penstock_server.credentials.scopes import dynamodb, s3, services
from penstock_server.credentials.validation import validate_aws
from penstock_server.errors import AccessDenied, InvalidRequest, NotFound, QueryError, Reason
from penstock_server.model.clock import Clock
from penstock_server.model.decision import PolicyVersion
from penstock_server.model.lease import Lease
from penstock_server.model.ports import SecretResolver
from penstock_server.model.posture import Posture
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestContext, RequestFacts
from penstock_server.model.resource import S3Location
from penstock_server.policy.bound import BoundPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPlan:
    """Everything that is decided before AWS is asked; `session_policy` is proved, and `covered` lies within grants."""

    covered: Covered
    policy_version: PolicyVersion
    default_issuer: str
    role: TargetRole
    lifetime: timedelta
    closes_at: datetime
    session_policy: ProvedPolicy

    @property
    def covered_in_words(self) -> str:
        """What is reached, for the lease, the audit and the answer."""
        return _in_words(self.covered)


class SessionPlanner:
    """Plans sessions. `catalog_locations` are where the catalogs' files live; whatever `printer` prints is proved.

    `revocable` says in words whether a session of a role (ARN) can be revoked; `posture` gives what is known of
    buckets; `resource_grants` looks at the policies of resources, None = nobody does.
    """

    def __init__(
        self,
        *,
        settings: CredentialSettings,
        catalog_locations: Sequence[S3Location],
        secrets: SecretResolver,
        clock: Clock,
        revocable: Callable[[str], str],
        posture: Callable[[], Posture],
        printer: SessionPolicyPrinter,
        resource_grants: ResourceGrants | None,
    ) -> None:
        """Read the roles.

        Raises:
            ConfigurationError: a role cannot be used.
        """
        self._roles: RoleTable | None = None if settings.aws is None else read_roles(settings.aws.roles, secrets)
        self._lifetime_rule = settings.lifetime
        self._configured = ConfiguredLocations(
            protected=tuple(settings.protected_locations), catalogs=tuple(catalog_locations)
        )
        self._indexed: tuple[BoundPolicy, LocationIndex] | None = None
        self._printer = printer
        self._revocable = revocable
        self._posture = posture
        self._clock = clock
        self._resource_grants = resource_grants

    def plan(
        self,
        principal: Principal,
        request: AwsCredentialRequest,
        context: RequestContext,
        policy: BoundPolicy,
        *,
        job_ttl: timedelta | None = None,
    ) -> SessionPlan:
        """Decide a request, and print and prove its session policy; nothing is asked of AWS.

        `job_ttl` is the longest life of a job whose service makes its sessions anew under the policy: then the policy
        itself is closed at the end, whatever the grants say, and the role's `max_ttl` does not count. None = a session.

        Raises what `issue` raises before AWS is asked.
        """
        validate_aws(request)
        now = self._clock.now()
        facts = context.facts(at=now, requested_ttl=request.ttl, purpose=request.purpose, carried=True)
        covered = cover(policy, principal, request, facts=facts)
        table_ends = require_open(
            covered.requested,
            policy=policy,
            locations=self._locations_of(policy),
            principal=principal,
            configured=self._configured,
            facts=facts,
        )
        service_ends = require_open_services(covered.service_targets, policy=policy, principal=principal, facts=facts)
        ends = (*covered.ends, *table_ends, *service_ends)
        role = self._role_for(covered)
        owner = role.owner_of(covered.requested, (*covered.targets, *covered.service_targets))
        lifetime = lifetimes.shortest(
            (
                lifetimes.ttl_bound(request.ttl, most=job_ttl or lifetimes.MAXIMUM),
                *lifetimes.grant_bounds(covered.max_ttl, ends, now),
                *lifetimes.token_bounds(
                    principal,
                    self._lifetime_rule,
                    now,
                    revocable=job_ttl is not None or self._revocable(role.arn) != NOT_REVOCABLE,
                ),
                lifetimes.Bound(
                    source="max_ttl of the role" if job_ttl is None else "max_ttl of the platform",
                    lifetime=job_ttl or role.max_ttl,
                    hint="ask the operator",
                ),
            )
        )
        if job_ttl is not None:
            # SECURITY: AWS makes a job's sessions anew for as long as it runs; only the policy itself can end them.
            ends = (*ends, (now + lifetime).replace(microsecond=0))
        scopes: tuple[Scope, ...] = (*covered.scopes, *covered.items, *covered.services)
        text = fit(scopes, owner, _hard_end(ends, now + lifetime), printer=self._printer)
        decided = Decided(
            scopes=covered.scopes,
            items=covered.items,
            services=covered.services,
            account=owner,
            ends=ends,
            session_ends_by=now + lifetime + CLOCK_TOLERANCE,
        )
        return SessionPlan(
            covered=covered,
            policy_version=policy.version,
            default_issuer=policy.default_issuer,
            role=role,
            lifetime=lifetime,
            closes_at=min(ends, default=now + lifetime),
            session_policy=require_proved(
                text,
                decided,
                lambda: grounds_of(policy, principal, request, covered),
                item_grounds=lambda: item_grounds_of(policy, principal, request, covered),
                service_grounds=lambda: service_grounds_of(policy, principal, request, covered),
                request_id=context.request_id,
            ),
        )

    async def require_closed_resources(self, plan: SessionPlan) -> bool:
        """Refuse a plan for a resource whose own policy lets in others; tell whether AWS was asked, and time passed.

        Raises what `ResourceGrants.require_closed` raises.
        """
        grants = self._resource_grants
        return grants is not None and await grants.require_closed(plan.role, plan.covered)

    def recheck(self, policy: BoundPolicy, lease: Lease, grounds: LeaseGrounds) -> str:
        """Say why a lease of this door would not be given by a policy, "" where it would be."""
        if grounds.request is None:
            return "it is no request for a session"
        facts = RequestFacts(
            at=self._clock.now(),
            source_address=grounds.peer_address,
            requested_ttl=grounds.ttl,
            purpose=grounds.purpose,
            carried=True,
            posture=self._posture(),
        )
        try:
            covered = cover(policy, grounds.principal, grounds.request, facts=facts)
            table_ends = require_open(
                covered.requested,
                policy=policy,
                locations=self._locations_of(policy),
                principal=grounds.principal,
                configured=self._configured,
                facts=facts,
            )
            table_ends += require_open_services(
                covered.service_targets, policy=policy, principal=grounds.principal, facts=facts
            )
        except (AccessDenied, NotFound, InvalidRequest, QueryError) as error:
            return error.reason.value
        if not grounds.reach <= reach_of(covered.scopes, covered.items, covered.services):
            return "it would reach less"
        # The row outlives the credential by as much as clocks may differ.
        ends = [*covered.ends, *table_ends]
        if covered.max_ttl is not None:
            ends.append(lease.created_at + covered.max_ttl)
        return "it would end earlier" if any(end + CLOCK_TOLERANCE < lease.expires_at for end in ends) else ""

    def _locations_of(self, policy: BoundPolicy) -> LocationIndex:
        """Give the index of a policy's tables, made once for each policy."""
        if self._indexed is None or self._indexed[0] is not policy:
            self._indexed = (policy, LocationIndex(policy.snapshot.tables))
        return self._indexed[1]

    def _role_for(self, covered: Covered) -> TargetRole:
        if self._roles is None:
            raise AccessDenied(
                Reason.NOT_CONFIGURED,
                "this service issues no AWS sessions",
                hint="ask the operator to configure `credentials.aws`",
            )
        return self._roles.role_for(covered.requested, (*covered.targets, *covered.service_targets))


def _hard_end(ends: Sequence[datetime], expected: datetime) -> datetime | None:
    """Give the instant at which the session policy itself must close the session, or None.

    AWS counts the lifetime from when it handles the call, by its own clock: a session could outlive a grant by that.
    """
    earliest = min(ends, default=None)
    return earliest if earliest is not None and earliest < expected + CLOCK_TOLERANCE else None


def _in_words(covered: Covered) -> str:
    """Give what a session reaches, for its lease, the audit and the answer."""
    parts = (s3.describe(covered.scopes), dynamodb.describe(covered.items), services.describe(covered.services))
    return "; ".join(part for part in parts if part)
