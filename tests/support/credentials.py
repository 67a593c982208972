"""Credential doors over a real policy, real state and a stand-in for AWS; what AWS was asked is kept word for word."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from penstock_server.aws.clients import AwsClients
from penstock_server.aws.probes import Probes
from penstock_server.aws.redshift import RedshiftLogins
from penstock_server.aws.shared_logins import SharedLogins
from penstock_server.aws.sts import SecurityTokenService
from penstock_server.config.secrets import SecretReferences
from penstock_server.config.settings import (
    AwsSettings,
    CredentialSettings,
    DatabaseUserStyle,
    LifetimeRule,
    ReaperSettings,
    RedshiftSettings,
    RoleSettings,
)
from penstock_server.credentials.aws_sessions import AwsSessionDoor
from penstock_server.credentials.fit import SessionPolicyPrinter, print_session_policy
from penstock_server.credentials.redshift_logins import NO_PROVERS, RedshiftLoginDoor
from penstock_server.credentials.requests import NOT_REVOCABLE, AwsCredentialRequest, RedshiftLoginRequest
from penstock_server.credentials.resource_grants import ResourceGrants
from penstock_server.credentials.session_ends import Reapers
from penstock_server.credentials.warehouse_proof import WarehouseProver
from penstock_server.errors import Reason, Unavailable
from penstock_server.model.audit import AuditRecord, Event
from penstock_server.model.decision import Access
from penstock_server.model.principal import Group, KnownIssuers, Principal
from penstock_server.model.resource import S3Location, TableName
from penstock_server.model.schema import CatalogSnapshot, Column, ColumnType, TableSchema, TypeFamily
from penstock_server.model.secret import Secret
from penstock_server.policy.binding import bind
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.reading.files import load
from penstock_server.state.store import State, open_state

from support.tokens import SteppedClock

ISSUER = "https://login.test"
OTHER_ISSUER = "https://other.test"
ACCOUNT = "111122223333"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/penstock-lake-reader"
BUCKET = "acme-lake"
REGION = "eu-west-1"


def principal(
    name: str | None = "alice",
    *groups: str,
    issuer: str = ISSUER,
    subject: str | None = None,
    token_ends: datetime = datetime(2100, 1, 1, tzinfo=UTC),
) -> Principal:
    """A verified caller."""
    return Principal(
        issuer=issuer,
        subject=subject or f"subject-of-{name}",
        username=name,
        groups=frozenset(Group(issuer=issuer, name=group) for group in groups),
        groups_complete=True,
        attributes=(),
        client_id="penstock-cli",
        authentication_methods=(),
        issued_at=datetime(2026, 1, 1, tzinfo=UTC),
        expires_at=token_ends,
    )


def at(key: str, bucket: str = BUCKET) -> S3Location:
    """A location."""
    return S3Location(bucket=bucket, key=key)


def table(name: str, location: S3Location | None) -> TableSchema:
    """A table `lake.DATABASE.TABLE` with two columns."""
    database, _, short = name.partition(".")
    text = ColumnType(sql="VARCHAR", family=TypeFamily.TEXT)
    return TableSchema(
        name=TableName(catalog="lake", database=database, table=short),
        columns=(Column(name="origin", type=text), Column(name="tailnum", type=text)),
        location=location,
    )


def bound_policy(
    folder: Path, text: str, *tables: TableSchema, logins: Iterable[str] = (), rules: str | None = None
) -> BoundPolicy:
    """Load and bind a policy text as the server does; `rules` is the text of `rules.csv` beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policy.yaml").write_text(f"version: 1\n{text}")
    if rules is not None:
        (folder / "rules.csv").write_text(rules)
    issuers = KnownIssuers(default=ISSUER, issuers=(ISSUER, OTHER_ISSUER), prefixes=(("other:", OTHER_ISSUER),))
    source = load((folder / "policy.yaml",), issuers)
    return bind(source, CatalogSnapshot(tables=tuple(tables)), logins=frozenset(logins))


def role(
    name: str = "lake-reader",
    *,
    arn: str = ROLE_ARN,
    external_id: str | None = "env:EXTERNAL_ID",
    serves: Sequence[str] = (f"arn:aws:s3:::{BUCKET}/*",),
    max_ttl: timedelta = timedelta(hours=1),
    bucket_accounts: Sequence[tuple[str, str]] = (),
) -> RoleSettings:
    """A configured role."""
    return RoleSettings(
        name=name,
        arn=arn,
        external_id=external_id,
        serves=tuple(serves),
        max_ttl=max_ttl,
        bucket_accounts=tuple(bucket_accounts),
    )


def cluster(
    name: str = "analytics",
    *,
    identity: DatabaseUserStyle = DatabaseUserStyle.USERNAME,
    user_prefix: str = "pk_",
    cluster_identifier: str = "analytics",
    reaper: ReaperSettings | None = None,
    auto_create: bool = False,
) -> RedshiftSettings:
    """A configured cluster."""
    return RedshiftSettings(
        name=name,
        cluster_identifier=cluster_identifier,
        region=REGION,
        database="prod",
        host=f"{cluster_identifier}.example.test",
        port=5439,
        identity=identity,
        user_prefix=user_prefix,
        reaper=reaper,
        auto_create=auto_create,
    )


class FixedSecrets:
    """Resolves `env:EXTERNAL_ID` alone."""

    def resolve(self, reference: str) -> Secret[str]:
        """The one secret there is."""
        if reference != "env:EXTERNAL_ID":
            raise AssertionError(reference)
        return Secret("external-id-of-acme")


@dataclass(slots=True)
class KeptRecords:
    """An audit sink in memory, which can be full: `broken_at` names the events that it can't write any more."""

    records: list[AuditRecord] = field(default_factory=list)
    broken_at: frozenset[Event] = frozenset()

    async def record(self, record: AuditRecord) -> None:
        """Keep one record."""
        if record.event in self.broken_at:
            raise Unavailable(Reason.AUDIT_UNAVAILABLE, "the audit is full", retry_after_seconds=None)
        self.records.append(record)

    def events(self) -> tuple[Event, ...]:
        """What happened, in order."""
        return tuple(record.event for record in self.records)

    def detail(self, event: Event, name: str) -> str:
        """One detail of the one record of an event."""
        (record,) = (record for record in self.records if record.event is event)
        return dict(record.details)[name]


class CallRecorder:
    """Keeps the exact parameters of every call that boto3 is asked to make."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def session(self, access_key_id: str = "ASIATEST") -> boto3.session.Session:
        """A session whose clients report to this recorder."""
        session = boto3.session.Session(
            aws_access_key_id=access_key_id,
            aws_secret_access_key="test",
            aws_session_token="test",
            region_name=REGION,
        )
        session.events.register("provide-client-params.*", self._keep)
        return session

    def _keep(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.calls.append((str(model.name), dict(params)))

    def only(self, operation: str) -> dict[str, Any]:
        """The parameters of the one call of an operation."""
        (parameters,) = (parameters for name, parameters in self.calls if name == operation)
        return parameters


@dataclass(slots=True, kw_only=True)
class Doors:
    """Both doors over one policy, one state, one audit and one recorder."""

    aws: AwsSessionDoor
    redshift: RedshiftLoginDoor
    state: State
    audit: KeptRecords
    recorder: CallRecorder
    clock: SteppedClock


@contextmanager
def opened_state(folder: Path, clock: SteppedClock) -> Iterator[State]:
    """The state of a folder, closed at the end."""
    state = open_state(f"sqlite:///{folder / 'state.db'}", clock, SecretReferences({}))
    try:
        yield state
    finally:
        state.database.close_now()


@contextmanager
def doors(
    folder: Path,
    policy: BoundPolicy,
    *,
    endpoint_url: str,
    clock: SteppedClock,
    roles: Sequence[RoleSettings] | None = None,
    clusters: Sequence[RedshiftSettings] = (),
    protected: Sequence[S3Location] = (),
    catalogs: Sequence[S3Location] = (),
    lifetime: LifetimeRule = LifetimeRule.TOKEN,
    access_key_id: str = "ASIATEST",
    printer: SessionPolicyPrinter = print_session_policy,
    policies: Callable[[], BoundPolicy] | None = None,
    recorder: CallRecorder | None = None,
    revocable: Callable[[str], str] = lambda _: NOT_REVOCABLE,
    reapers: Callable[[State], Reapers] = lambda _: {},
    provers: Mapping[str, WarehouseProver] = NO_PROVERS,
    accepted: Sequence[str] | None = None,
) -> Iterator[Doors]:
    """Doors whose calls go to the endpoint; `policies` gives another policy than `policy` from time to time.

    `accepted` are resources whose own policies are not looked at; None = none is.
    """
    recorder, audit = recorder or CallRecorder(), KeptRecords()
    decides = policies or (lambda: policy)
    clients = AwsClients(recorder.session(access_key_id), endpoint_url=endpoint_url)
    settings = CredentialSettings(
        lifetime=lifetime,
        protected_locations=tuple(protected),
        aws=AwsSettings(region=REGION, endpoint_url=endpoint_url, roles=(role(),) if roles is None else tuple(roles)),
        redshift=tuple(clusters),
    )
    with opened_state(folder, clock) as state:
        yield Doors(
            aws=AwsSessionDoor(
                settings=settings,
                catalog_locations=catalogs,
                policies=decides,
                sts=SecurityTokenService(clients, region=REGION),
                leases=state.leases,
                revocations=state.revocations,
                audit=audit,
                secrets=FixedSecrets(),
                clock=clock,
                random_bytes=secrets.token_bytes,
                printer=printer,
                revocable=revocable,
                resource_grants=None
                if accepted is None
                else ResourceGrants(Probes(clients, region=REGION), accepted=accepted, clock=clock),
            ),
            redshift=RedshiftLoginDoor(
                settings=settings,
                policies=decides,
                redshift=RedshiftLogins(clients),
                leases=state.leases,
                revocations=state.revocations,
                bindings=state.bindings,
                audit=audit,
                clock=clock,
                random_bytes=secrets.token_bytes,
                shared=SharedLogins(clients, SecurityTokenService(clients, region=REGION)),
                secrets=FixedSecrets(),
                reapers=reapers(state),
                provers=provers,
            ),
            state=state,
            audit=audit,
            recorder=recorder,
            clock=clock,
        )
        clients.close()


@contextmanager
def doors_without_aws(folder: Path, policy: BoundPolicy, *, clock: SteppedClock) -> Iterator[Doors]:
    """Doors of a configuration that has no `credentials.aws`."""
    audit = KeptRecords()
    settings = CredentialSettings(lifetime=LifetimeRule.TOKEN, protected_locations=(), aws=None, redshift=())
    with opened_state(folder, clock) as state:
        yield Doors(
            aws=AwsSessionDoor(
                settings=settings,
                catalog_locations=(),
                policies=lambda: policy,
                sts=None,
                leases=state.leases,
                revocations=state.revocations,
                audit=audit,
                secrets=FixedSecrets(),
                clock=clock,
                random_bytes=secrets.token_bytes,
                resource_grants=None,
            ),
            redshift=RedshiftLoginDoor(
                settings=settings,
                policies=lambda: policy,
                redshift=None,
                leases=state.leases,
                revocations=state.revocations,
                bindings=state.bindings,
                audit=audit,
                clock=clock,
                random_bytes=secrets.token_bytes,
            ),
            state=state,
            audit=audit,
            recorder=CallRecorder(),
            clock=clock,
        )


def aws_request(
    *resources: str,
    access: Sequence[Access] = (Access.READ,),
    ttl: timedelta | None = None,
    purpose: str = "",
    request_id: str | None = None,
) -> AwsCredentialRequest:
    """A request for a session."""
    return AwsCredentialRequest(
        resources=resources, access=tuple(access), ttl=ttl, purpose=purpose, request_id=request_id
    )


def login_request(
    name: str = "analytics", *, ttl: timedelta | None = None, purpose: str = "", request_id: str | None = None
) -> RedshiftLoginRequest:
    """A request for a login."""
    return RedshiftLoginRequest(name=name, ttl=ttl, purpose=purpose, request_id=request_id)
