"""The door to AWS: from a request to a session that reaches exactly what the policy gives.

1. The request is validated and its resources are read.
2. The policy decides which grants cover them.
3. Closed locations are refused.
4. One role serves them all.
5. Every bound of the lifetime is applied.
6. The session policy is built and fits.
7. Its text is read back and proved to be what was decided, and the decision to be within its grounds (`proof`).
8. The policies of the resources themselves let nobody else in (`resource_grants`); where AWS was asked, 1 to 7 again.
9. The lease row, the audit record of the attempt, AssumeRole, the lease, the audit record of the outcome, the answer.

Nothing before step 8 speaks to AWS: not even whether a name exists there may depend on what a caller asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

from penstock_server.aws.sts import OPERATION, AssumedSession, AssumeRole, SecurityTokenService
from penstock_server.config.settings import CredentialSettings
from penstock_server.credentials.fit import (
    SessionPolicyPrinter,
    note_packed_size,
    packed_too_large,
    print_session_policy,
)
from penstock_server.credentials.grounds_of_leases import LeaseGrounds, print_grounds, reach_of
from penstock_server.credentials.leases import (
    Answered,
    Attempt,
    LeasedIssue,
    check_expiry,
    digest_request,
    same_policy,
)
from penstock_server.credentials.names import session_tags, stable_name
from penstock_server.credentials.records import Asked, DoorRecords
from penstock_server.credentials.requests import NOT_REVOCABLE, AwsCredentialRequest, IssuedAwsCredentials
from penstock_server.credentials.resource_grants import ResourceGrants
from penstock_server.credentials.session_plans import SessionPlan, SessionPlanner
from penstock_server.errors import LimitExceeded, Reason
from penstock_server.model.clock import Clock
from penstock_server.model.lease import Lease, LeaseId
from penstock_server.model.ports import AuditSink, LeaseStore, RevocationStore, SecretResolver
from penstock_server.model.posture import NOTHING_KNOWN, Posture
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestContext
from penstock_server.model.resource import Door, S3Location
from penstock_server.policy.bound import BoundPolicy


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
        resource_grants: ResourceGrants | None,
        revocable: Callable[[str], str] = lambda _: NOT_REVOCABLE,
        posture: Callable[[], Posture] = lambda: NOTHING_KNOWN,
        printer: SessionPolicyPrinter = print_session_policy,
    ) -> None:
        """Read the roles; `sts` is None where the configuration has no `credentials.aws`.

        `revocable` says in words whether a session of a role (ARN) can be revoked;
        `posture` gives what is known of buckets now; `resource_grants` looks at policies of resources.
        Whatever `printer` prints is proved before it is sent.

        Raises:
            ConfigurationError: a role cannot be used.
        """
        aws = settings.aws
        self._region = "" if aws is None else aws.region
        self._sts = sts
        self._policies = policies
        self.planner = SessionPlanner(
            settings=settings,
            catalog_locations=catalog_locations,
            secrets=secrets,
            clock=clock,
            revocable=revocable,
            posture=posture,
            printer=printer,
            resource_grants=resource_grants,
        )
        self._revocable = revocable
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
            AccessDenied: no grant, a closed location, no role, or a resource whose own policy lets others in.
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
            plan = self.planner.plan(principal, request, context, policy)
            if await self.planner.require_closed_resources(plan):
                # Time passed: lifetimes count from now.
                policy = self._policies()
                plan = self.planner.plan(principal, request, context, policy)
        except Exception as error:
            await self._records.not_issued(asked, None if policy is None else policy.version, error)
            raise
        decided_by = policy
        return await self._carry_out(asked, request, plan, lambda: same_policy(self._policies(), decided_by))

    def recheck(self, policy: BoundPolicy, lease: Lease, grounds: LeaseGrounds) -> str:
        """Say why a lease of this door would not be given by a policy, "" where it would be."""
        return self.planner.recheck(policy, lease, grounds)

    async def _carry_out(
        self, asked: Asked, request: AwsCredentialRequest, plan: SessionPlan, unchanged: Callable[[], bool]
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
            attempt_of(asked, request, plan, unchanged), call, partial(_describe, lifetime=plan.lifetime)
        )
        return IssuedAwsCredentials(
            access_key_id=session.access_key_id,
            secret_access_key=session.secret_access_key,
            session_token=session.session_token,
            expires_at=session.expires_at,
            session_policy=plan.session_policy.text,
            scope=plan.covered_in_words,
            lease_id=lease,
            role_arn=plan.role.arn,
            region=self._region,
            revocable=self._revocable(plan.role.arn),
            grants=plan.covered.grants,
            policy_version=plan.policy_version,
        )


def attempt_of(
    asked: Asked, request: AwsCredentialRequest, plan: SessionPlan, unchanged: Callable[[], bool]
) -> Attempt:
    """Give the attempt to issue what was planned, at the door that was asked."""
    access = sorted(access.value for access in request.access)
    ttl = None if request.ttl is None else request.ttl.total_seconds()
    return Attempt(
        asked=asked,
        policy_version=plan.policy_version,
        role=plan.role.arn,
        source_identity=stable_name(asked.principal),
        scope=plan.covered_in_words,
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
        request_digest=digest_request(asked.door.value, request.resources, access, ttl, request.purpose),
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
