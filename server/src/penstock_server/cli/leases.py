"""`penstock-server leases`: leases in the state, for whoever operates the service.

It works on the state whether or not the service runs. A running service takes up what was revoked here within a second,
records it in the audit, and writes the revocation document; where none runs, the record is written from here.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import re
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Final

import typer

from penstock_server.audit.log import AuditLog
from penstock_server.broker.service_records import ServiceRecords
from penstock_server.cli.options import DEFAULT_CONFIG, ConfigOption
from penstock_server.cli.terminal import Terminal
from penstock_server.config.loading import load
from penstock_server.config.secrets import SecretReferences
from penstock_server.config.settings import Settings
from penstock_server.credentials.names import stable_name_of
from penstock_server.errors import ConfigurationError, Reason, Unavailable
from penstock_server.model.clock import SystemClock
from penstock_server.model.lease import Lease, LeaseId, Revoked
from penstock_server.state.store import State, open_state

_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_PAGE: Final = 500
_RECORDED_WITHIN_SECONDS: Final = 15.0

Revoke = Callable[[State, str], Awaitable[Revoked]]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    leases = typer.Typer(no_args_is_help=True, help="List and revoke the credentials that were handed out.")
    leases.command("list")(list_)
    leases.command("revoke")(revoke)
    leases.command("revoke-person")(revoke_person)
    leases.command("revoke-role")(revoke_role)
    app.add_typer(leases, name="leases")


def list_(
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the leases of everybody that have not ended."""
    settings = load(config, environ=os.environ)
    state = open_state(settings.state_url, SystemClock(), SecretReferences(os.environ))
    try:
        found = asyncio.run(_all(state))
    finally:
        state.database.close_now()
    terminal = Terminal()
    for lease in found:
        if as_json:
            terminal.raw(json.dumps(_as_json(lease)))
        else:
            terminal.say(
                f"{lease.id}  {lease.status.value:<8}{lease.door.value:<9}until {lease.expires_at:%Y-%m-%d %H:%M:%S}"
                f"  {lease.issuer}|{lease.subject}  {lease.scope}"
            )


def revoke(
    lease_id: Annotated[str, typer.Argument(metavar="ID", help="The lease's id.")],
    *,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Revoke one lease; again is no error."""
    if _ID.fullmatch(lease_id) is None:
        raise typer.BadParameter("a lease's id is 32 hex digits, as `leases list` prints it")

    async def take(state: State, cause: str) -> Revoked:
        return await state.revocations.revoke_lease(LeaseId(lease_id), cause=cause, recorded=False)

    _revoke(load(config, environ=os.environ), take)


def revoke_person(
    person: Annotated[str, typer.Argument(metavar="[ISSUER|]SUBJECT", help="Issuer and `sub` of the person.")],
    *,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Revoke all that a person holds, and refuse the tokens that were issued to them until now."""
    settings = load(config, environ=os.environ)
    issuer, subject = _person(settings, person)

    async def take(state: State, cause: str) -> Revoked:
        return await state.revocations.revoke_person(
            issuer=issuer,
            subject=subject,
            source_identity=stable_name_of(issuer, subject),
            cause=cause,
            recorded=False,
        )

    _revoke(settings, take)


def revoke_role(
    role: Annotated[str, typer.Argument(metavar="ARN", help="The ARN of a role under `credentials.aws.roles`.")],
    *,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Revoke all sessions of a role that were issued until now."""
    settings = load(config, environ=os.environ)
    aws = settings.credentials.aws
    if aws is None or all(known.arn != role for known in aws.roles):
        raise ConfigurationError((f"`{role}` is no role of `credentials.aws.roles`",))

    async def take(state: State, cause: str) -> Revoked:
        return await state.revocations.revoke_role(role, cause=cause, recorded=False)

    _revoke(settings, take)


async def _all(state: State) -> list[Lease]:
    found: list[Lease] = []
    while page := await state.leases.all(after=found[-1].id if found else "", limit=_PAGE):
        found += page
    return found


def _person(settings: Settings, text: str) -> tuple[str, str]:
    issuers = {issuer.issuer for issuer in settings.identity.issuers}
    issuer, bar, subject = text.partition("|")
    if not bar:
        default = next(found.issuer for found in settings.identity.issuers if found.default)
        return default, text
    if issuer not in issuers:
        raise ConfigurationError((f"`{issuer}` is no issuer of the configuration",))
    return issuer, subject


def _revoke(settings: Settings, take: Revoke) -> None:
    clock = SystemClock()
    state = open_state(settings.state_url, clock, SecretReferences(os.environ))
    try:
        revoked = asyncio.run(_take_and_record(settings, state, take, clock))
    finally:
        state.database.close_now()
    aws = settings.credentials.aws
    terminal = Terminal()
    terminal.say(f"revoked: {revoked.leases} leases, generation {revoked.generation}")
    if aws is None or aws.revocation is None:
        terminal.say("`credentials.aws.revocation` is not configured: credentials at AWS work until they end")
    else:
        terminal.say("a running service writes the revocation document; `audit show --event revocations` tells when")


async def _take_and_record(settings: Settings, state: State, take: Revoke, clock: SystemClock) -> Revoked:
    revoked = await take(state, f"by `{getpass.getuser()}` on the command line")
    until = time.monotonic() + _RECORDED_WITHIN_SECONDS
    # Nothing is told before it is in the audit: by the service, which holds the trail, or from here.
    while await state.revocations.unrecorded():
        try:
            audit = AuditLog.open(settings.audit_path, clock)
        except ConfigurationError:
            if time.monotonic() > until:
                raise _not_recorded() from None
            await asyncio.sleep(0.2)
            continue
        try:
            records = ServiceRecords(audit, clock)
            for revocation in await state.revocations.unrecorded():
                await records.revoked(revocation)
                await state.revocations.note_recorded(revocation.generation)
        finally:
            await audit.close()
    return revoked


def _not_recorded() -> Unavailable:
    return Unavailable(
        Reason.AUDIT_UNAVAILABLE,
        "it is revoked, but the service that holds the audit trail has not recorded it",
        retry_after_seconds=None,
        hint="look at the service's log; it records and writes what was revoked as soon as it can",
    )


def _as_json(lease: Lease) -> dict[str, str | None]:
    return {
        "lease_id": lease.id,
        "state": lease.status.value,
        "door": lease.door.value,
        "issuer": lease.issuer,
        "subject": lease.subject,
        "role": lease.role,
        "scope": lease.scope,
        "created_at": lease.created_at.isoformat(),
        "expires_at": lease.expires_at.isoformat(),
        "revoked_at": None if lease.revoked_at is None else lease.revoked_at.isoformat(),
    }
