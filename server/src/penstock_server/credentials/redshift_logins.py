"""The door to Redshift: from a request to a temporary password for one database user.

1. The request is validated.
2. The policy decides; a login that is unknown and one that is not granted give one answer.
3. The database user is named, and bound to this identity for ever; or it is that of the lease, and lives as long.
4. Every bound of the lifetime is applied.
   Where the warehouse enforces the policy itself, its catalogs must have been proved to do so just now.
5. The lease row, the audit record of the attempt, GetClusterCredentials, the lease, the audit record of the outcome,
   the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from penstock_server.aws.redshift import OPERATION, ClusterCredentials, ClusterLogin, RedshiftLogins
from penstock_server.aws.shared_logins import SharedLogin, SharedLogins
from penstock_server.config.settings import CredentialSettings, RedshiftSettings
from penstock_server.credentials import lifetimes
from penstock_server.credentials.database_users import (
    MAX_CHARS,
    MAX_CHARS_IN_SESSIONS,
    database_user,
    is_user_prefix,
    lease_user,
)
from penstock_server.credentials.grounds_of_leases import LeaseGrounds, print_grounds
from penstock_server.credentials.leases import (
    CLOCK_TOLERANCE,
    Answered,
    Attempt,
    LeasedIssue,
    check_expiry,
    digest_request,
    same_policy,
)
from penstock_server.credentials.names import LEASE_TAG, stable_name
from penstock_server.credentials.native_roles import DecidedRole, decided_role
from penstock_server.credentials.records import Asked, DoorRecords
from penstock_server.credentials.requests import NOT_REVOCABLE, IssuedRedshiftLogin, RedshiftLoginRequest
from penstock_server.credentials.session_ends import ENDED_WITHIN_SECONDS, Reapers, SessionReaper
from penstock_server.credentials.validation import validate_redshift
from penstock_server.credentials.warehouse_proof import WarehouseProver, sent_to_queries
from penstock_server.errors import (
    AccessDenied,
    ConfigurationError,
    NotFound,
    Reason,
    Unavailable,
)
from penstock_server.model.clock import Clock
from penstock_server.model.decision import Denied, RedshiftDecision
from penstock_server.model.lease import Lease, LeaseId
from penstock_server.model.native import NativeRole, NotNativeError
from penstock_server.model.ports import AuditSink, DatabaseUserBindings, LeaseStore, RevocationStore, SecretResolver
from penstock_server.model.principal import Principal
from penstock_server.model.redshift_names import RESERVED_WORDS, is_database_group
from penstock_server.model.request import RequestContext, RequestFacts
from penstock_server.model.resource import Door
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.resources import decide_redshift

REVOCABLE = f"yes within {ENDED_WITHIN_SECONDS} s: its sessions are ended, and none can begin"

NO_REAPERS: Reapers = {}
NO_PROVERS: Mapping[str, WarehouseProver] = {}

_DATABASE = re.compile(r"[A-Za-z][A-Za-z0-9_+.@-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Everything that is decided before AWS is asked; `user` is "" where the lease or the IAM role has its own.

    `role` is the database role that enforces the policy, None where the warehouse does not.
    """

    decision: RedshiftDecision
    cluster: RedshiftSettings
    user: str
    role: NativeRole | None
    lifetime: timedelta


class RedshiftLoginDoor:
    """Issues database logins; `policies` gives the policy now."""

    def __init__(
        self,
        *,
        settings: CredentialSettings,
        policies: Callable[[], BoundPolicy],
        redshift: RedshiftLogins | None,
        leases: LeaseStore,
        revocations: RevocationStore,
        bindings: DatabaseUserBindings,
        audit: AuditSink,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        shared: SharedLogins | None = None,
        secrets: SecretResolver | None = None,
        reapers: Reapers = NO_REAPERS,
        provers: Mapping[str, WarehouseProver] = NO_PROVERS,
    ) -> None:
        """Check the clusters; `redshift` and `shared` are None where the configuration has no `credentials.aws`.

        Raises:
            ConfigurationError: a cluster cannot be used.
        """
        for cluster in settings.redshift:
            check_cluster(cluster)
            if cluster.reaper is not None and cluster.warehouse not in reapers:
                raise ConfigurationError((f"credentials.redshift.{cluster.name}: nobody ends its sessions",))
            if cluster.native is not None and cluster.name not in provers:
                raise ConfigurationError((f"credentials.redshift.{cluster.name}: nobody proves its catalogs",))
        self._clusters = {cluster.name: cluster for cluster in settings.redshift}
        self._lifetime_rule = settings.lifetime
        self._policies = policies
        self._redshift = redshift
        self._shared = shared
        self._secrets = secrets
        self._reapers = reapers
        self._provers = provers
        self._bindings = bindings
        self._clock = clock
        self._records = DoorRecords(audit, clock)
        self._issue = LeasedIssue(
            leases=leases, revocations=revocations, records=self._records, clock=clock, random_bytes=random_bytes
        )

    async def issue(
        self, principal: Principal, request: RedshiftLoginRequest, context: RequestContext
    ) -> IssuedRedshiftLogin:
        """Issue one login.

        Raises:
            InvalidRequest: a field breaks a rule, or the request id was used before.
            NotFound: there is no such login for this caller.
            AccessDenied: the caller can have no database user there.
            LimitExceeded: the login would live too short, or too many calls wait.
            Unavailable: policy, state, audit or AWS is not there.
        """
        asked = Asked(
            principal=principal,
            context=context,
            door=Door.REDSHIFT,
            resources=(f"redshift:{request.name}",),
            purpose=request.purpose,
        )
        policy: BoundPolicy | None = None
        try:
            policy = self._policies()
            plan = self._plan(principal, request, context, policy)
            if plan.role is not None:
                await self._provers[plan.cluster.name].require(plan.role, policy)
            await self._bind(principal, plan)
        except Exception as error:
            await self._records.not_issued(asked, None if policy is None else policy.version, error)
            raise
        decided_by = policy
        return await self._carry_out(asked, request, plan, lambda: same_policy(self._policies(), decided_by))

    def _plan(
        self, principal: Principal, request: RedshiftLoginRequest, context: RequestContext, policy: BoundPolicy
    ) -> _Plan:
        validate_redshift(request)
        now = self._clock.now()
        facts = context.facts(at=now, requested_ttl=request.ttl, purpose=request.purpose, carried=True)
        outcome = decide_redshift(policy, principal, request.name, facts=facts)
        cluster = self._clusters.get(request.name)
        if isinstance(outcome, Denied) or cluster is None:
            raise NotFound(
                Reason.RESOURCE_NOT_FOUND,
                f"there is no Redshift login `{request.name}` for you",
                hint="check the name, or ask the owner for a grant of CONNECT",
                metadata=(("login", request.name),),
                detail="not configured" if cluster is None else "not granted",
            )
        _check_groups(outcome)
        _check_shared(outcome, cluster)
        if cluster.reaper is not None:
            self._reapers[cluster.warehouse].require_fresh()
        decided = _decided_role(policy, principal, cluster, facts)
        if decided is not None and outcome.database_groups:
            # SECURITY: what a group may do is no part of what is proved.
            raise sent_to_queries(f"`{cluster.name}` enforces the policy, and its grants name database groups")
        all_ends = (outcome.expires_at, None if decided is None else decided.expires_at)
        ends = tuple(end for end in all_ends if end is not None)
        return _Plan(
            decision=outcome,
            cluster=cluster,
            user=""
            if cluster.shared is not None
            else database_user(
                principal,
                style=cluster.identity,
                prefix=cluster.user_prefix,
                default_issuer=policy.default_issuer,
                longest=MAX_CHARS if cluster.reaper is None else MAX_CHARS_IN_SESSIONS,
            ),
            role=None if decided is None else decided.role,
            lifetime=lifetimes.shortest(
                (
                    lifetimes.ttl_bound(request.ttl),
                    *lifetimes.grant_bounds(outcome.max_ttl, ends, now),
                    *lifetimes.token_bounds(principal, self._lifetime_rule, now, revocable=cluster.reaper is not None),
                )
            ),
        )

    def recheck(self, policy: BoundPolicy, lease: Lease, grounds: LeaseGrounds) -> str:
        """Say why a lease of this door would not be given by a policy, "" where it would be."""
        facts = RequestFacts(
            at=self._clock.now(),
            source_address=grounds.peer_address,
            requested_ttl=grounds.ttl,
            purpose=grounds.purpose,
            carried=True,
        )
        outcome = decide_redshift(policy, grounds.principal, grounds.login, facts=facts)
        if isinstance(outcome, Denied) or grounds.login not in self._clusters:
            return Reason.RESOURCE_NOT_FOUND.value
        try:
            decided = _decided_role(policy, grounds.principal, self._clusters[grounds.login], facts)
        except AccessDenied:
            return "the warehouse cannot enforce it"
        if not grounds.reach <= _reach(outcome.database_groups, None if decided is None else decided.role):
            return "it would reach less"
        ends = [] if outcome.expires_at is None else [outcome.expires_at]
        if outcome.max_ttl is not None:
            ends.append(lease.created_at + outcome.max_ttl)
        return "it would end earlier" if any(end + CLOCK_TOLERANCE < lease.expires_at for end in ends) else ""

    async def _bind(self, principal: Principal, plan: _Plan) -> None:
        if not plan.user:
            return
        warehouse = plan.cluster.warehouse
        if not await self._bindings.bind(warehouse=warehouse, database_user=plan.user, principal=principal):
            # SECURITY: a name that is given to a new person must not bring the rights of the person before.
            raise AccessDenied(
                Reason.NOT_PERMITTED,
                "you cannot have a database user: the one of your name belongs to another identity",
                hint="ask the operator to set `identity: hash` for this login",
                detail=f"`{plan.user}` at {warehouse} is bound to another (issuer, subject)",
            )

    async def _carry_out(
        self, asked: Asked, request: RedshiftLoginRequest, plan: _Plan, unchanged: Callable[[], bool]
    ) -> IssuedRedshiftLogin:
        async def call(lease: LeaseId) -> ClusterCredentials:
            return await self._call(plan, lease, stable_name(asked.principal))

        lease, credentials = await self._issue.run(
            _attempt(asked, request, plan, unchanged), call, partial(_describe, lifetime=plan.lifetime)
        )
        return IssuedRedshiftLogin(
            user=credentials.user,
            password=credentials.password,
            host=plan.cluster.host,
            port=plan.cluster.port,
            database=plan.cluster.database,
            database_groups=plan.decision.database_groups,
            expires_at=credentials.expires_at,
            lease_id=lease,
            revocable=NOT_REVOCABLE if plan.cluster.reaper is None else REVOCABLE,
            grants=plan.decision.grants,
            policy_version=plan.decision.policy_version,
        )

    async def _call(self, plan: _Plan, lease: LeaseId, holder: str) -> ClusterCredentials:
        cluster = plan.cluster
        seconds = int(plan.lifetime.total_seconds())
        if cluster.shared is not None:
            credentials = await self._call_shared(plan, lease, holder, seconds)
            operation = "GetCredentials"
        else:
            user = plan.user or lease_user(lease, prefix=cluster.user_prefix)
            reaper = self._reaper_of(cluster)
            if reaper is not None:
                await reaper.admit(user, role="" if plan.role is None else plan.role.name)
            if self._redshift is None:
                raise RuntimeError("the door has clusters but no connection to AWS")
            operation = OPERATION
            credentials = await self._redshift.get_cluster_credentials(
                ClusterLogin(
                    region=cluster.region,
                    cluster_identifier=cluster.cluster_identifier,
                    database_user=user,
                    database=cluster.database,
                    database_groups=plan.decision.database_groups,
                    duration_seconds=seconds,
                    auto_create=cluster.auto_create,
                )
            )
        check_expiry(credentials.expires_at, asked=plan.lifetime, now=self._clock.now(), operation=operation)
        return credentials

    def _reaper_of(self, cluster: RedshiftSettings) -> SessionReaper | None:
        return None if cluster.reaper is None else self._reapers[cluster.warehouse]

    async def _call_shared(self, plan: _Plan, lease: LeaseId, holder: str, seconds: int) -> ClusterCredentials:
        cluster, shared = plan.cluster, plan.cluster.shared
        if self._shared is None or shared is None or self._secrets is None:
            raise RuntimeError("the door has shared logins but no connection to AWS")
        return await self._shared.get(
            SharedLogin(
                region=cluster.region,
                cluster_identifier=cluster.cluster_identifier,
                workgroup=cluster.workgroup,
                database=cluster.database,
                duration_seconds=seconds,
                role_arn=shared.role,
                external_id=None if shared.external_id is None else self._secrets.resolve(shared.external_id),
                session_name=holder,
                database_roles=shared.database_roles,
                tags=((LEASE_TAG, lease),),
            )
        )


def check_cluster(cluster: RedshiftSettings) -> None:
    """Require of a configured cluster what every login needs.

    Raises:
        ConfigurationError: its database or its prefix of users cannot be used.
    """
    place = f"credentials.redshift.{cluster.name}"
    if not is_user_prefix(cluster.user_prefix):
        raise ConfigurationError(
            (
                f"{place}.user_prefix: `{cluster.user_prefix}` must be lower-case letters and digits and end in `_`,"
                " so that no user can have an administrator's name",
            )
        )
    if _DATABASE.fullmatch(cluster.database) is None or cluster.database.lower() in RESERVED_WORDS:
        raise ConfigurationError((f"{place}.database: `{cluster.database}` is not a name that Redshift accepts",))


def _check_groups(decision: RedshiftDecision) -> None:
    for group in decision.database_groups:
        if not is_database_group(group):
            raise Unavailable(
                Reason.NOT_CONFIGURED,
                "this login is not set up correctly",
                retry_after_seconds=None,
                hint="tell the operator the request id; the audit names the cause",
                detail=f"database group `{group}` is not a lower-case name that Redshift accepts",
            )


def _decided_role(
    policy: BoundPolicy, principal: Principal, cluster: RedshiftSettings, facts: RequestFacts
) -> DecidedRole | None:
    if cluster.native is None:
        return None
    try:
        return decided_role(policy, principal, cluster, facts=facts)
    except NotNativeError as error:
        raise sent_to_queries(f"it cannot be enforced there: {error}") from error


def _reach(groups: Sequence[str], role: NativeRole | None) -> frozenset[tuple[str, str]]:
    enforced = () if role is None else (("ENFORCED", role.name),)
    return frozenset((*(("CONNECT", group) for group in groups), *enforced))


def _check_shared(decision: RedshiftDecision, cluster: RedshiftSettings) -> None:
    """Refuse a decision that is not the one set of database roles which all people of a shared user have."""
    if cluster.shared is None or decision.database_groups == cluster.shared.database_roles:
        return
    # SECURITY: one database user for all people of the IAM role: whoever is to have another set has no login here.
    raise AccessDenied(
        Reason.NOT_PERMITTED,
        "this login gives one set of database roles, and your grants give another",
        hint="ask the operator for a login of that set, with an IAM role of its own, or query instead",
        detail=f"granted {','.join(decision.database_groups)}; configured {','.join(cluster.shared.database_roles)}",
    )


def _attempt(asked: Asked, request: RedshiftLoginRequest, plan: _Plan, unchanged: Callable[[], bool]) -> Attempt:
    ttl = None if request.ttl is None else request.ttl.total_seconds()
    return Attempt(
        asked=asked,
        policy_version=plan.decision.policy_version,
        role="",
        source_identity=stable_name(asked.principal),
        scope=f"redshift:{plan.cluster.name}",
        grounds=print_grounds(
            LeaseGrounds(
                principal=asked.principal,
                peer_address=asked.context.peer_address,
                request=None,
                login=request.name,
                purpose=request.purpose,
                ttl=request.ttl,
                reach=_reach(plan.decision.database_groups, plan.role),
                database_user=plan.user,
            )
        ),
        unchanged=unchanged,
        request_id=None if request.request_id is None else request.request_id.lower(),
        request_digest=digest_request(Door.REDSHIFT.value, request.name, ttl, request.purpose),
        lifetime=plan.lifetime,
        details=(
            ("database_user", plan.user),
            ("database", plan.cluster.database),
            ("database_groups", ",".join(plan.decision.database_groups)),
            ("enforced_by", "" if plan.role is None else plan.role.name),
            ("grants", ",".join(plan.decision.grants)),
            ("duration_seconds", str(int(plan.lifetime.total_seconds()))),
        ),
    )


def _describe(credentials: ClusterCredentials, *, lifetime: timedelta) -> Answered:
    return Answered(
        issued_at=credentials.expires_at - lifetime,
        details=(("returned_user", credentials.user), ("expires_at", credentials.expires_at.isoformat())),
    )
