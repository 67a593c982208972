"""Who calls, and how to sign in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from penstock_server.broker.callers import Caller, Roles
from penstock_server.broker.decision_records import DecisionRecords, Question
from penstock_server.broker.policies import Policies
from penstock_server.broker.refused_tokens import RefusedTokens
from penstock_server.config.settings import IdentitySettings
from penstock_server.errors import Unauthenticated
from penstock_server.model.audit import Event
from penstock_server.model.decision import PolicyVersion
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestContext


class Verifier(Protocol):
    """Turns bearer tokens into principals."""

    async def verify(self, authorization: tuple[str, ...], context: RequestContext) -> Principal:
        """Verify the token. Raises Unauthenticated; its detail names the rule."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInIssuer:
    """How to sign in at one issuer; `client_id` is None where people cannot sign in by it."""

    issuer: str
    client_id: str | None
    scopes: tuple[str, ...]
    audience: str
    device_flow: bool
    default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerIdentity:
    """The caller as WhoAmI shows it; `groups` are sorted names as policies write them."""

    principal: Principal
    groups: tuple[str, ...]
    policy_version: PolicyVersion
    administrator: bool
    auditor: bool


class IdentityBroker:
    """Authenticates every call, and answers IdentityService."""

    def __init__(
        self,
        *,
        settings: IdentitySettings,
        verifier: Verifier,
        roles: Roles,
        policies: Policies,
        records: DecisionRecords,
        refused: RefusedTokens,
    ) -> None:
        self._verifier = verifier
        self._roles = roles
        self._policies = policies
        self._records = records
        self._refused = refused
        self._sign_in = tuple(_sign_in_issuers(settings))
        self._prefixes = {issuer.issuer: issuer.group_prefix for issuer in settings.issuers}

    async def authenticate(self, authorization: tuple[str, ...], context: RequestContext) -> Principal:
        """Verify the token of a call. Raises Unauthenticated, one text whatever the cause; the audit has the rule."""
        try:
            return await self._verifier.verify(authorization, context)
        except Unauthenticated as error:
            self._refused.note(error.detail, context)
            raise

    def sign_in_issuers(self) -> tuple[SignInIssuer, ...]:
        """Give the issuers, the default one first. For everybody: no token is needed to learn how to get one."""
        return self._sign_in

    async def who_am_i(self, caller: Caller) -> CallerIdentity:
        """Give the caller's own identity. Raises Unavailable."""
        question = Question(event=Event.IDENTITY_SHOWN, caller=caller, resources=())
        async with self._records.refusals(question):
            version = self._policies.bound().version
        principal = caller.principal
        await self._records.allowed(question, version, details=())
        return CallerIdentity(
            principal=principal,
            groups=tuple(sorted(self._prefixes[group.issuer] + group.name for group in principal.groups)),
            policy_version=version,
            administrator=self._roles.is_administrator(principal),
            auditor=self._roles.is_auditor(principal),
        )


def _sign_in_issuers(settings: IdentitySettings) -> Sequence[SignInIssuer]:
    issuers = sorted(settings.issuers, key=lambda issuer: not issuer.default)
    return [
        SignInIssuer(
            issuer=issuer.issuer,
            client_id=issuer.client_id,
            scopes=issuer.scopes,
            audience=issuer.audience,
            device_flow=issuer.device_flow,
            default=issuer.default,
        )
        for issuer in issuers
    ]
