"""The door to AWS: from a request to a session that reaches exactly what the policy gives.

1. The request is validated and its resources are read.
2. The policy decides which grants cover them.
3. Closed locations are refused.
4. One role serves them all.
5. Every bound of the lifetime is applied.
6. The session policy is built and fits.
7. Its text is read back and proved to be what was decided, and the decision to be within its grounds (`proof`).
8. The lease row, the audit record of the attempt, AssumeRole, the lease, the audit record of the outcome, the answer.

Nothing before step 8 speaks to AWS: not even whether a name exists there may depend on what a caller asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from penstock_server.aws.sts import OPERATION, AssumedSession, AssumeRole, SecurityTokenService
from penstock_server.config.settings import CredentialSettings
from penstock_server.credentials import lifetimes
from penstock_server.credentials.closed_locations import ConfiguredLocations, require_open
from penstock_server.credentials.closed_services import require_open_services
from penstock_server.credentials.covered import Covered, cover
from penstock_server.credentials.decision_grounds import grounds_of, item_grounds_of, service_grounds_of
from penstock_server.credentials.fit import (
    Scope,
    SessionPolicyPrinter,
    fit,
    note_packed_size,
    packed_too_large,
    print_session_policy,
)
from penstock_server.credentials.grounds_of_leases import LeaseGrounds, print_grounds, reach_of
from penstock_server.credentials.leases import (
    CLOCK_TOLERANCE,
    Answered,
    Attempt,
    LeasedIssue,
    check_expiry,
    digest_request,
    same_policy,
)
from penstock_server.credentials.location_index import LocationIndex
from penstock_server.credentials.names import session_tags, stable_name
from penstock_server.credentials.proof.outcomes import ProvedPolicy
from penstock_server.credentials.proof.permits import Decided
from penstock_server.credentials.proved_policies import require_proved
from penstock_server.credentials.records import Asked, DoorRecords
from penstock_server.credentials.requests import NOT_REVOCABLE, AwsCredentialRequest, IssuedAwsCredentials
from penstock_server.credentials.roles import RoleTable, TargetRole, read_roles
from penstock_server.credentials.scopes import dynamodb, s3, services
from penstock_server.credentials.validation import validate_aws
from penstock_server.errors import AccessDenied, InvalidRequest, LimitExceeded, NotFound, QueryError, Reason
from penstock_server.model.clock import Clock
from penstock_server.model.decision import PolicyVersion
from penstock_server.model.lease import Lease, LeaseId
from penstock_server.model.ports import AuditSink, LeaseStore, RevocationStore, SecretResolver
from penstock_server.model.posture import NOTHING_KNOWN, Posture
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestContext, RequestFacts
from penstock_server.model.resource import Door, S3Location
from penstock_server.policy.bound import BoundPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Everything that is decided before AWS is asked."""

    covered: Covered
    policy_version: PolicyVersion
    default_issuer: str
    role: TargetRole
    lifetime: timedelta
    session_policy: ProvedPolicy


class AwsSessionDoor:
    """Issues AWS sessions. `catalog_locations` are where the catalogs' files live; `policies` gives the policy now."""

    def __init__(
        self,
        *,
        settings: CredentialSettings,
        catalog_locations: Sequence[S3Location],
        policies: Callable[[], BoundPolicy],
        sts: SecurityTokenService | None,
        leases: LeaseStore,
        revocations: RevocationStore,
        audit: AuditSink,
        secrets: SecretResolver,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        revocable: Callable[[str], str] = lambda _: NOT_REVOCABLE,
        posture: Callable[[], Posture] = lambda: NOTHING_KNOWN,
        printer: SessionPolicyPrinter = print_session_policy,
    ) -> None:
        """Read the roles; `sts` is None where the configuration has no `credentials.aws`.

        `revocable` says in words whether a session of a role (ARN) can be revoked;
        `posture` gives what is known of buckets now. Whatever `printer` prints is proved before it is sent.

        Raises:
            ConfigurationError: a role cannot be used.
        """
        aws = settings.aws
        self._region = "" if aws is None else aws.region
        self._roles: RoleTable | None = None if aws is None else read_roles(aws.roles, secrets)
        self._sts = sts
        self._lifetime_rule = settings.lifetime
        self._configured = ConfiguredLocations(
            protected=tuple(settings.protected_locations), catalogs=tuple(catalog_locations)
        )
        self._policies = policies
        self._indexed: tuple[BoundPolicy, LocationIndex] | None = None
        self._printer = printer
        self._revocable = revocable
        self._posture = posture
        self._clock = clock
        self._records = DoorRecords(audit, clock)
        self._issue = LeasedIssue(
            leases=leases, revocations=revocations, records=self._records, clock=clock, random_bytes=random_bytes
        )

    async def issue(
        self, principal: Principal, request: AwsCredentialRequest, context: RequestContext
    ) -> IssuedAwsCredentials:
        """Issue one session.

        Raises:
            InvalidRequest: a field breaks a rule, or the request id was used before.
            NotFound: there is no such table for this caller.
            AccessDenied: no grant, a closed location, or no role.
            LimitExceeded: the scope does not fit a session policy, or the session would live too short.
            Unavailable: policy, state, audit or AWS is not there.
            Disagreement: the session policy is not proved to be what was decided.
        """
        asked = Asked(
            principal=principal,
            context=context,
            door=Door.AWS,
            resources=request.resources,
            purpose=request.purpose,
        )
        policy: BoundPolicy | None = None
        try:
            policy = self._policies()
            plan = self._plan(principal, request, context, policy)
        except Exception as error:
            await self._records.not_issued(asked, None if policy is None else policy.version, error)
            raise
        decided_by = policy
        return await self._carry_out(asked, request, plan, lambda: same_policy(self._policies(), decided_by))

    def _plan(
        self, principal: Principal, request: AwsCredentialRequest, context: RequestContext, policy: BoundPolicy
    ) -> _Plan:
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
                lifetimes.ttl_bound(request.ttl),
                *lifetimes.grant_bounds(covered.max_ttl, ends, now),
                *lifetimes.token_bounds(
                    principal, self._lifetime_rule, now, revocable=self._revocable(role.arn) != NOT_REVOCABLE
                ),
                lifetimes.Bound(source="max_ttl of the role", lifetime=role.max_ttl, hint="ask the operator"),
            )
        )
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
        return _Plan(
            covered=covered,
            policy_version=policy.version,
            default_issuer=policy.default_issuer,
            role=role,
            lifetime=lifetime,
            session_policy=require_proved(
                text,
                decided,
                lambda: grounds_of(policy, principal, request, covered),
                item_grounds=lambda: item_grounds_of(policy, principal, request, covered),
                service_grounds=lambda: service_grounds_of(policy, principal, request, covered),
                request_id=context.request_id,
            ),
        )

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

    async def _carry_out(
        self, asked: Asked, request: AwsCredentialRequest, plan: _Plan, unchanged: Callable[[], bool]
    ) -> IssuedAwsCredentials:
        sts = self._sts
        if sts is None:
            raise RuntimeError("the door has roles but no connection to AWS")

        async def call(lease: LeaseId) -> AssumedSession:
            name = stable_name(asked.principal)
            assume = AssumeRole(
                role_arn=plan.role.arn,
                session_name=name,
                source_identity=name,
                external_id=plan.role.external_id,
                policy=plan.session_policy.text,
                tags=session_tags(asked.principal, lease, default_issuer=plan.default_issuer),
                duration_seconds=int(plan.lifetime.total_seconds()),
            )
            try:
                session = await sts.assume_role(assume)
            except LimitExceeded as error:
                if error.reason is not Reason.SESSION_POLICY_TOO_LARGE:
                    raise
                raise packed_too_large(
                    error, (*plan.covered.scopes, *plan.covered.items, *plan.covered.services)
                ) from error
            note_packed_size(session.packed_policy_size, request_id=asked.context.request_id)
            check_expiry(session.expires_at, asked=plan.lifetime, now=self._clock.now(), operation=OPERATION)
            return session

        lease, session = await self._issue.run(
            _attempt(asked, request, plan, unchanged), call, partial(_describe, lifetime=plan.lifetime)
        )
        return IssuedAwsCredentials(
            access_key_id=session.access_key_id,
            secret_access_key=session.secret_access_key,
            session_token=session.session_token,
            expires_at=session.expires_at,
            session_policy=plan.session_policy.text,
            scope=_in_words(plan.covered),
            lease_id=lease,
            role_arn=plan.role.arn,
            region=self._region,
            revocable=self._revocable(plan.role.arn),
            grants=plan.covered.grants,
            policy_version=plan.policy_version,
        )


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


def _attempt(asked: Asked, request: AwsCredentialRequest, plan: _Plan, unchanged: Callable[[], bool]) -> Attempt:
    access = sorted(access.value for access in request.access)
    ttl = None if request.ttl is None else request.ttl.total_seconds()
    return Attempt(
        asked=asked,
        policy_version=plan.policy_version,
        role=plan.role.arn,
        source_identity=stable_name(asked.principal),
        scope=_in_words(plan.covered),
        grounds=print_grounds(
            LeaseGrounds(
                principal=asked.principal,
                peer_address=asked.context.peer_address,
                request=request,
                login="",
                purpose=request.purpose,
                ttl=request.ttl,
                reach=reach_of(plan.covered.scopes, plan.covered.items, plan.covered.services),
            )
        ),
        unchanged=unchanged,
        request_id=None if request.request_id is None else request.request_id.lower(),
        request_digest=digest_request(Door.AWS.value, request.resources, access, ttl, request.purpose),
        lifetime=plan.lifetime,
        details=(
            ("access", ",".join(access)),
            ("grants", ",".join(plan.covered.grants)),
            ("role", plan.role.arn),
            ("duration_seconds", str(int(plan.lifetime.total_seconds()))),
            ("source_identity", stable_name(asked.principal)),
            ("session_policy", plan.session_policy.text),
        ),
    )


def _describe(session: AssumedSession, *, lifetime: timedelta) -> Answered:
    packed = "" if session.packed_policy_size is None else str(session.packed_policy_size)
    return Answered(
        issued_at=session.expires_at - lifetime,
        details=(
            ("access_key_id", session.access_key_id),
            ("expires_at", session.expires_at.isoformat()),
            ("packed_policy_size", packed),
        ),
    )
