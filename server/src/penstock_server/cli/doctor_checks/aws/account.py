"""All lines of `doctor --aws`, in order."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from penstock_server.aws.boundary import BoundaryPolicy
from penstock_server.aws.clients import AwsClients
from penstock_server.aws.own_identity import clients_of_this_process
from penstock_server.aws.probes import Probes
from penstock_server.cli.doctor_checks.aws import identity, locations, resources, revocation, roles, warehouses
from penstock_server.cli.doctor_checks.finding import Finding, failed
from penstock_server.cli.private_engine import engine_of
from penstock_server.config.secrets import SecretReferences
from penstock_server.config.settings import AwsSettings, RevocationSettings, Settings
from penstock_server.credentials.revocation_writing import RevocationWriting
from penstock_server.credentials.roles import TargetRole, read_roles
from penstock_server.errors import ConfigurationError, PenstockError
from penstock_server.model.clock import Clock
from penstock_server.model.resource import S3Location
from penstock_server.state.store import State, open_state

_SUBJECT = "aws"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Revoking:
    """Revokes by the state, and writes the document where nobody else is at it."""

    state: State
    writing: RevocationWriting
    holder: str

    async def revoke(self, issuer: str, subject: str, source_identity: str) -> None:
        """Revoke one person."""
        await self.state.revocations.revoke_person(
            issuer=issuer,
            subject=subject,
            source_identity=source_identity,
            cause="a revocation drill",
            recorded=False,
        )
        try:
            await self.writing.turn(*await self.state.revocations.entries())
        finally:
            await self.state.revocations.release_writer(self.holder)


async def findings(
    settings: Settings, *, environ: Mapping[str, str], clock: Clock, drill: bool
) -> AsyncIterator[Finding]:
    """Look at the account, as this process's own identity."""
    aws = settings.credentials.aws
    if aws is None:
        fix = "`penstock-server aws init` writes it, and the roles for it"
        yield failed(_SUBJECT, "an account is configured", "there is no `credentials.aws`", fix=fix)
        return
    try:
        table = read_roles(aws.roles, SecretReferences(environ)).roles
    except ConfigurationError as error:
        for problem in error.problems:
            yield failed(_SUBJECT, "the roles can be read", problem, fix="mend the configuration")
        return
    clients = clients_of_this_process(endpoint_url=aws.endpoint_url)
    probes = Probes(clients, region=aws.region)
    try:
        targets = [role for role in table if role.serves or role.tables or role.services]
        async for finding in _looked(probes, settings, aws, targets, clock=clock):
            yield finding
        yield await _drilled(clients, probes, settings, targets, environ=environ, clock=clock, wanted=drill)
    finally:
        probes.close()
        clients.close()


async def _looked(
    probes: Probes, settings: Settings, aws: AwsSettings, targets: Sequence[TargetRole], *, clock: Clock
) -> AsyncIterator[Finding]:
    accepted = frozenset(settings.credentials.accepted_resource_grants)
    async for finding in identity.findings(probes, aws, clock=clock):
        yield finding
    for role in targets:
        async for finding in roles.findings(probes, aws, role):
            yield finding
        async for finding in resources.findings(probes, role, accepted):
            yield finding
    async for finding in warehouses.findings(probes, settings.credentials.redshift):
        yield finding
    located = await _located(settings)
    async for finding in locations.findings(probes, located, targets):
        yield finding


async def _located(settings: Settings) -> list[tuple[str, S3Location]]:
    """Give the locations that catalogs and their tables have; catalogs that cannot be read are `doctor`'s to tell."""
    found = [(catalog.name, catalog.location) for catalog in settings.catalogs if catalog.location is not None]
    if not found:
        return []
    try:
        async with engine_of(settings) as engine:
            snapshot = await engine.inspect()
    except (ConfigurationError, PenstockError):
        return found
    return [(str(table.name), table.location) for table in snapshot.tables if table.location is not None] or found


async def _drilled(
    clients: AwsClients,
    probes: Probes,
    settings: Settings,
    targets: Sequence[TargetRole],
    *,
    environ: Mapping[str, str],
    clock: Clock,
    wanted: bool,
) -> Finding:
    aws = settings.credentials.aws
    set_up = None if aws is None else aws.revocation
    if aws is None or set_up is None:
        fix = "set `credentials.aws.revocation`; `penstock-server aws init` writes its role and policy"
        return failed(revocation.SUBJECT, revocation.CLAIM, "no revocation is configured", fix=fix)
    role = next((role for role in targets if role.serves), None)
    if not wanted or role is None:
        return revocation.not_asked()
    secret_references = SecretReferences(environ)
    state = open_state(settings.state_url, clock, secret_references)
    try:
        holder = secrets.token_hex(16)
        writing = RevocationWriting(
            store=state.revocations,
            boundary=_boundary(clients, aws, set_up, secret_references, clock),
            roles=[target.arn for target in targets],
            clock=clock,
            holder=holder,
        )
        revoking = _Revoking(state=state, writing=writing, holder=holder)
        drill = revocation.Drill(
            probes=probes,
            role=role,
            revoking=revoking,
            subject=secrets.token_hex(16),
            clock=clock,
        )
        return await drill.run()
    finally:
        await state.close()


def _boundary(
    clients: AwsClients, aws: AwsSettings, set_up: RevocationSettings, references: SecretReferences, clock: Clock
) -> BoundaryPolicy:
    external_id = set_up.external_id
    return BoundaryPolicy(
        clients,
        role=set_up.role,
        policy=set_up.boundary,
        region=aws.region,
        clock=clock,
        external_id=None if external_id is None else references.resolve(external_id),
    )
