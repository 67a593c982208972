"""The composition root: the one place where parts become a broker.

Every protection is put in here and nowhere else, always all of them: no key, variable or flag builds a weaker set.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from penstock_server.audit.log import AuditLog
from penstock_server.aws.boundary import BoundaryPolicy
from penstock_server.aws.clients import AwsClients
from penstock_server.aws.own_identity import clients_of_this_process
from penstock_server.aws.posture import BucketChecks
from penstock_server.aws.probes import Probes
from penstock_server.aws.redshift import RedshiftLogins
from penstock_server.aws.shared_logins import SharedLogins
from penstock_server.aws.sts import SecurityTokenService
from penstock_server.broker.access import AccessBroker
from penstock_server.broker.audit import AuditBroker
from penstock_server.broker.callers import Roles
from penstock_server.broker.catalog import CatalogBroker
from penstock_server.broker.credential_doors import CredentialBroker
from penstock_server.broker.decision_records import DecisionRecords
from penstock_server.broker.figures import BrokerFigures, figures
from penstock_server.broker.identity import IdentityBroker
from penstock_server.broker.leases import LeaseBroker
from penstock_server.broker.operations import OperationsBroker
from penstock_server.broker.policies import Policies
from penstock_server.broker.policy import PolicyBroker
from penstock_server.broker.policy_drafts import PolicyDrafts
from penstock_server.broker.policy_watch import PolicyWatch
from penstock_server.broker.posture import PostureBroker
from penstock_server.broker.query_door import QueryBroker
from penstock_server.broker.query_watch import QueryWatch
from penstock_server.broker.refused_tokens import RefusedTokens
from penstock_server.broker.reloading import Cause, PolicyLoader, ReloadOutcome
from penstock_server.broker.revocation_keeper import RevocationKeeper
from penstock_server.broker.rules_refresh import RulesRefresh
from penstock_server.broker.service_records import ServiceRecords
from penstock_server.broker.session_keeper import SessionKeeper
from penstock_server.broker.source_stores import SourceStores
from penstock_server.broker.spark import SparkBroker
from penstock_server.broker.spark_keeper import SparkKeeper
from penstock_server.broker.spark_platforms import spark_platforms
from penstock_server.broker.warehouses import session_reapers, warehouse_provers
from penstock_server.config.principals import known_issuers
from penstock_server.config.secrets import SecretReferences
from penstock_server.config.settings import Settings
from penstock_server.credentials.aws_sessions import AwsSessionDoor
from penstock_server.credentials.rechecks import LeaseRechecks
from penstock_server.credentials.redshift_logins import RedshiftLoginDoor
from penstock_server.credentials.resource_grants import ResourceGrants
from penstock_server.credentials.revocation_writing import RevocationWriting
from penstock_server.credentials.session_ends import Reapers
from penstock_server.engines.duckdb.engine import DuckDbEngine, EngineBudgets
from penstock_server.engines.duckdb.sandbox.confinement import Barrier
from penstock_server.errors import Unavailable
from penstock_server.identity.verifier import TokenVerifier
from penstock_server.model.clock import Clock
from penstock_server.model.posture import Posture
from penstock_server.policy.reading.file_trees import DiskDigests
from penstock_server.posture.locations import required_buckets
from penstock_server.posture.watch import PostureWatch
from penstock_server.query.door import QueryDoor
from penstock_server.state.store import State, open_state

log = logging.getLogger(__name__)

_EXTRACTS_FROM = 2
"""One query over a table costs less without an extract, several cost less with one."""

_MOST_THREADS = 4
_MOST_CHILDREN_AHEAD = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What lives as long as the broker and must be started and closed."""

    audit: AuditLog
    state: State
    verifier: TokenVerifier
    engine: DuckDbEngine
    stores: SourceStores
    aws: AwsClients | None
    refused: RefusedTokens
    policies: Policies


class Broker:
    """All that the service asks, composed. Belongs to one event loop; `start` before use, `stop` after."""

    def __init__(self, settings: Settings, parts: _Parts, *, clock: Clock, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._parts = parts
        self._records = ServiceRecords(parts.audit, clock)
        policies = parts.policies
        self._loader = PolicyLoader(
            settings=settings,
            inspector=parts.engine,
            rules=parts.engine,
            policies=policies,
            records=self._records,
            clock=clock,
        )
        self._refresh = RulesRefresh(loader=self._loader, reader=parts.engine, records=self._records, clock=clock)
        self._watch = PolicyWatch(self._loader, DiskDigests(settings.policies))
        records = DecisionRecords(parts.audit, clock)
        roles = Roles(settings.identity)
        self.identity = IdentityBroker(
            settings=settings.identity,
            verifier=parts.verifier,
            roles=roles,
            policies=policies,
            records=records,
            refused=parts.refused,
        )
        self.catalog = CatalogBroker(policies=policies, records=records, clock=clock)
        self._drafts = PolicyDrafts(settings=settings, loader=self._loader, rules=parts.engine, clock=clock)
        self.policy = PolicyBroker(
            policies=policies, loader=self._loader, drafts=self._drafts, roles=roles, records=records
        )
        self.audit = AuditBroker(reader=parts.audit, roles=roles, records=records)
        self._posture = PostureWatch(
            _bucket_checks(settings, parts, clock),
            lambda: required_buckets(policies.bound()) if policies.loaded else frozenset(),
            clock,
        )
        self.posture = PostureBroker(
            policies=policies,
            catalogs=tuple(catalog.location for catalog in settings.catalogs if catalog.location is not None),
            watch=self._posture,
            roles=roles,
            records=records,
        )
        door = QueryDoor(
            engine=parts.engine, policies=policies, audit=parts.audit, clock=clock, settings=settings.query
        )
        self.queries = QueryBroker(door=door)
        self._running = door.running
        self._query_watch = QueryWatch(
            running=door.running,
            policies=policies,
            floors=parts.state.floors,
            on_policy=parts.engine.extracts.doubt,
        )
        self.operations = OperationsBroker(
            running=door.running,
            engine=parts.engine,
            policies=policies,
            roles=roles,
            issuers=known_issuers(settings.identity.issuers),
            records=records,
            clock=clock,
        )
        self.access = AccessBroker(
            policies=policies,
            queries=self.queries,
            roles=roles,
            issuers=known_issuers(settings.identity.issuers),
            records=records,
            clock=clock,
        )
        self._keeper = _revocation_keeper(settings, parts, self._records, clock=clock, environ=environ)
        reapers = session_reapers(
            settings.credentials.redshift,
            leases=parts.state.leases,
            secrets=SecretReferences(environ),
            clock=clock,
        )
        self._sessions = SessionKeeper(
            reapers=reapers,
            warehouses={login.name: login.warehouse for login in settings.credentials.redshift},
            records=self._records,
        )
        aws, redshift = _credential_doors(
            settings, parts, self._keeper, reapers, posture=lambda: self.known_posture, clock=clock, environ=environ
        )
        self.credentials = CredentialBroker(aws=aws, redshift=redshift)
        self._spark_keeper = SparkKeeper(records=self._records)
        spark = self._spark = spark_platforms(
            settings.credentials.spark,
            aws=parts.aws,
            planner=aws.planner,
            policies=policies.bound,
            state=parts.state,
            audit=parts.audit,
            clock=clock,
            wake=self._spark_keeper.wake,
        )
        self._rechecks = LeaseRechecks(
            policies=policies.bound,
            leases=parts.state.leases,
            revocations=parts.state.revocations,
            aws=aws,
            redshift=redshift,
            spark=spark.door,
        )
        self.leases = LeaseBroker(
            leases=parts.state.leases,
            revocations=parts.state.revocations,
            keeper=self._keeper,
            roles=roles,
            records=records,
            sessions=self._sessions,
            spark=self._spark_keeper,
        )
        self.spark = SparkBroker(
            door=spark.door,
            leases=self.leases,
            runs=parts.state.spark_runs,
            platforms=spark.platforms,
            services=spark.services,
        )

    @property
    def ready(self) -> bool:
        """Whether a policy is bound and the keys of every issuer are known."""
        return self._parts.policies.loaded and self._parts.verifier.ready()

    @property
    def policy_current(self) -> bool:
        """Whether what decides is what the policy files say; not so after a reload that failed."""
        return self._parts.policies.loaded and self._loader.failure is None

    @property
    def barriers(self) -> frozenset[Barrier]:
        """Which barriers around processes that hold data were tried, and held."""
        tried = self._parts.engine.barriers
        return frozenset(() if tried is None else tried.active)

    def figures(self) -> BrokerFigures:
        """Take the figures for metrics now."""
        return figures(
            running=self._running,
            extracts=self._parts.engine.extracts,
            barriers=self._parts.engine.barriers,
            serving=self.ready,
            policy_current=self.policy_current,
        )

    @property
    def rules_current(self) -> bool:
        """Whether the query of every rules dataset works; where one fails, its last result counts until it is old."""
        return self._parts.policies.loaded and all(state.failing is None for state in self._refresh.states())

    @property
    def known_posture(self) -> Posture:
        """What is known of buckets now, for the decisions of a call."""
        return self._posture.snapshot

    def attach(self, control: socket.socket) -> None:
        """Use this zygote for statements from now on; owns the socket."""
        self._parts.engine.attach(control)

    async def start(self) -> None:
        """Record the start, read the catalogs, bind the policy and load keys.

        Raises:
            ConfigurationError: something that the operator must mend.
            Unavailable: the audit cannot be written, or there is no zygote.
        """
        if self._parts.aws is not None:
            await self._parts.aws.require_temporary()
        await self._records.started(self._settings)
        self._parts.refused.start()
        await self._parts.engine.__aenter__()
        # SECURITY: before a policy is loaded nothing is answered, so nothing is before both have held.
        await self._parts.engine.prove_sealed()
        await self._parts.engine.prove_worlds_alike()
        await self._loader.start()
        self._watch.start()
        self._posture.start()
        self._refresh.start()
        self._keeper.start(self._rechecks)
        self._sessions.start()
        self._spark_keeper.start(self._spark.reaper)
        self._query_watch.start()
        # Last, because it may have to wait for a provider that does not answer.
        await self._parts.verifier.start()

    async def reload_policy(self, cause: Cause) -> ReloadOutcome:
        """Read policy files and catalogs anew; where that fails, the policy from before goes on to decide."""
        return await self._loader.reload(cause)

    async def stop(self) -> None:
        """Close everything; the audit last, with the record that says so."""
        parts = self._parts
        self._drafts.close()
        await self._watch.close()
        await self._posture.close()
        await self._refresh.close()
        await self._query_watch.close()
        await self._keeper.close()
        await self._sessions.close()
        await self._spark_keeper.close()
        await self._loader.close()
        await parts.engine.__aexit__(None, None, None)
        await parts.verifier.close()
        parts.stores.close()
        if parts.aws is not None:
            parts.aws.close()
        await parts.refused.close()
        await parts.state.close()
        try:
            await self._records.stopped()
        except Unavailable as error:
            log.warning("the end is not in the audit", extra={"detail": error.detail})
        finally:
            await parts.audit.close()


def build(settings: Settings, *, clock: Clock, environ: Mapping[str, str]) -> Broker:
    """Put a broker together. Opens the state and takes the audit folder, so call it once a process; blocks.

    `environ` is where `env:NAME` secrets are looked up.

    Raises:
        ConfigurationError: something that the operator must mend.
    """
    aws = settings.credentials.aws
    state = open_state(settings.state_url, clock, SecretReferences(environ))
    verifier = TokenVerifier(settings.identity, state.floors, clock)
    stores = SourceStores(settings, clock=clock, environ=environ)
    clients = None if aws is None else clients_of_this_process(endpoint_url=aws.endpoint_url)
    audit = AuditLog.open(settings.audit_path, clock)
    parts = _Parts(
        audit=audit,
        state=state,
        verifier=verifier,
        engine=DuckDbEngine(
            catalogs=settings.catalogs,
            budgets=_budgets(settings),
            stores=stores.by_catalog,
            registries=stores.registries,
        ),
        stores=stores,
        aws=clients,
        refused=RefusedTokens(audit, clock),
        policies=Policies(),
    )
    return Broker(settings, parts, clock=clock, environ=environ)


def _bucket_checks(settings: Settings, parts: _Parts, clock: Clock) -> BucketChecks | None:
    aws = settings.credentials.aws
    return None if aws is None or parts.aws is None else BucketChecks(parts.aws, region=aws.region, clock=clock)


def _revocation_keeper(
    settings: Settings, parts: _Parts, records: ServiceRecords, *, clock: Clock, environ: Mapping[str, str]
) -> RevocationKeeper:
    aws = settings.credentials.aws
    writing = None
    holder = secrets.token_hex(16)
    if aws is not None and aws.revocation is not None and parts.aws is not None:
        external_id = aws.revocation.external_id
        writing = RevocationWriting(
            store=parts.state.revocations,
            boundary=BoundaryPolicy(
                parts.aws,
                role=aws.revocation.role,
                policy=aws.revocation.boundary,
                region=aws.region,
                clock=clock,
                external_id=None if external_id is None else SecretReferences(environ).resolve(external_id),
            ),
            roles=[role.arn for role in aws.roles if role.serves],
            clock=clock,
            holder=holder,
        )
    return RevocationKeeper(
        store=parts.state.revocations,
        leases=parts.state.leases,
        floors=parts.state.floors,
        writing=writing,
        records=records,
        clock=clock,
        holder=holder,
        chance=secrets.SystemRandom().random,
    )


def _credential_doors(
    settings: Settings,
    parts: _Parts,
    keeper: RevocationKeeper,
    reapers: Reapers,
    *,
    posture: Callable[[], Posture],
    clock: Clock,
    environ: Mapping[str, str],
) -> tuple[AwsSessionDoor, RedshiftLoginDoor]:
    aws = settings.credentials.aws
    sts = redshift = shared = resource_grants = None
    if aws is not None and parts.aws is not None:
        sts = SecurityTokenService(parts.aws, region=aws.region)
        redshift = RedshiftLogins(parts.aws)
        shared = SharedLogins(parts.aws, sts)
        resource_grants = ResourceGrants(
            Probes(parts.aws, region=aws.region),
            accepted=settings.credentials.accepted_resource_grants,
            clock=clock,
        )
    sessions = AwsSessionDoor(
        settings=settings.credentials,
        catalog_locations=[catalog.location for catalog in settings.catalogs if catalog.location is not None],
        policies=parts.policies.bound,
        sts=sts,
        leases=parts.state.leases,
        revocations=parts.state.revocations,
        audit=parts.audit,
        secrets=SecretReferences(environ),
        clock=clock,
        random_bytes=secrets.token_bytes,
        revocable=keeper.revocable,
        posture=posture,
        resource_grants=resource_grants,
    )
    logins = RedshiftLoginDoor(
        settings=settings.credentials,
        policies=parts.policies.bound,
        redshift=redshift,
        leases=parts.state.leases,
        revocations=parts.state.revocations,
        bindings=parts.state.bindings,
        audit=parts.audit,
        clock=clock,
        random_bytes=secrets.token_bytes,
        shared=shared,
        secrets=SecretReferences(environ),
        reapers=reapers,
        provers=warehouse_provers(settings.credentials.redshift, secrets=SecretReferences(environ), clock=clock),
    )
    return sessions, logins


def _budgets(settings: Settings) -> EngineBudgets:
    cores = len(os.sched_getaffinity(0))
    ahead = max(1, min(settings.query.concurrency, _MOST_CHILDREN_AHEAD, cores))
    return EngineBudgets(
        memory_bytes=settings.query.memory_bytes,
        threads=max(1, min(_MOST_THREADS, cores // 2)),
        workers_ahead=ahead,
        # A statement takes one reader for each of its tables.
        readers_ahead=ahead + 1,
        extract_bytes=settings.query.extract_bytes,
        extracts_from=_EXTRACTS_FROM,
    )
