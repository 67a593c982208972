"""Authenticates a request: the one way by which a `Principal` comes into being.

The steps, in the numbers that the documentation uses; each has a test that goes red without it:

 1. Bytes: one `authorization` value, `Bearer`, at most 8 KiB, three strict base64url segments.
 2. Header: no member twice; `alg`, `kid`, `typ` are read; eight members are refused, others ignored.
 3. `typ` is one that this issuer's access tokens have.
 4. Issuer: `iss` is a configured string, exactly.
 5. Key: `kid` names exactly one published key; `alg` is allowed for the issuer and fits the key.
 6. Signature.
 7. Payload: strict JSON, no member twice, no number of more than 20 digits.
 8. `iss`, `aud`, `exp`, `iat`, `sub` are there; valid now, give or take 60 s; not older than allowed.
 9. Audience exact; client allowed, and named alike wherever it is named.
10. An access token and not another kind; bound to this connection's certificate where it is bound at all.
11. The claims that this issuer's tokens must carry.
12. Token floor: not issued at or before the moment at which this identity was signed out everywhere.
13. Identity is (`iss`, `sub`); username and attributes are display and rule matching.
14. Groups: a list of names; absent or cut means fewer groups, never all.

7 and 4 come before 3, because the issuer decides which types it has; until 6 has passed nothing but `iss` is used.
10 (certificate) and 12 are checked on every request, the rest once in 60 seconds for the same token.

What callers still owe: hand over *all* `authorization` values of the request; give a client certificate only if the
TLS library verified it; answer with the one error and record its `detail`; authorise. An authenticated principal may
do nothing yet.

Source: RFC 7515, 7519, 8705, 8725, 9068; OpenID Connect Core 1.0.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from penstock_server.config.settings import IdentitySettings, IssuerSettings
from penstock_server.errors import ConfigurationError
from penstock_server.identity import header as token_header
from penstock_server.identity import signature
from penstock_server.identity.access_token import read_access_token
from penstock_server.identity.groups import GroupRule, group_rule
from penstock_server.identity.keys.issuer_keys import IssuerKeys
from penstock_server.identity.keys.sources import source_of
from penstock_server.identity.refusal import Rule, refused
from penstock_server.identity.strict_json import JsonObject, NotStrictJson, parse_object
from penstock_server.identity.token_bytes import CompactToken, bearer, split
from penstock_server.identity.token_kind import check_certificate
from penstock_server.identity.verified_tokens import VerifiedToken, VerifiedTokens, digest_of
from penstock_server.model.clock import Clock
from penstock_server.model.ports import TokenFloors
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestContext

_MAX_PAYLOAD_DEPTH: Final = 16
_RENEWAL_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Issuer:
    settings: IssuerSettings
    keys: IssuerKeys
    groups: GroupRule


class TokenVerifier:
    """Turns the `authorization` of a request into a `Principal`, or refuses it.

    Belongs to one event loop. `start` before use, `close` after.
    """

    def __init__(self, settings: IdentitySettings, floors: TokenFloors, clock: Clock) -> None:
        """Prepare without any I/O but reading `ca` files.

        Raises:
            ConfigurationError: an algorithm or address that cannot be used, an issuer twice, or python-jose without
                its `cryptography` backend.
        """
        signature.require_cryptography_backend()
        _require_usable(settings)
        self._floors = floors
        self._clock = clock
        self._verified = VerifiedTokens()
        # One thread an issuer: a provider that hangs holds up nobody else's keys.
        self._executor = ThreadPoolExecutor(len(settings.issuers), thread_name_prefix="issuer-keys")
        self._issuers = {issuer.issuer: self._issuer(issuer, settings) for issuer in settings.issuers}
        self._renewal: asyncio.Task[None] | None = None

    def _issuer(self, issuer: IssuerSettings, settings: IdentitySettings) -> _Issuer:
        keys = IssuerKeys(issuer.issuer, source_of(issuer), self._clock, self._executor)
        return _Issuer(settings=issuer, keys=keys, groups=group_rule(issuer, settings))

    async def start(self) -> None:
        """Load the keys of every issuer and keep them fresh; a provider that cannot be reached is tried again.

        Raises:
            ConfigurationError: a `jwks_file` that cannot be read, or holds no key that may verify.
        """
        async with asyncio.TaskGroup() as group:
            for issuer in self._issuers.values():
                group.create_task(issuer.keys.refresh_if_stale())
        problems = tuple(
            f"issuer `{name}`: {issuer.keys.problem}"
            for name, issuer in self._issuers.items()
            if issuer.settings.jwks_file is not None and not issuer.keys.ready()
        )
        if problems:
            raise ConfigurationError(problems)
        self._renewal = asyncio.create_task(self._renew())

    async def close(self) -> None:
        """Stop renewing keys. Requests may still be verified with those at hand."""
        if self._renewal is not None:
            self._renewal.cancel()
            with suppress(asyncio.CancelledError):
                await self._renewal
        self._executor.shutdown(wait=False, cancel_futures=True)

    def ready(self) -> bool:
        """Tell whether the keys of every issuer are known."""
        return all(issuer.keys.ready() for issuer in self._issuers.values())

    async def verify(self, authorization: tuple[str, ...], context: RequestContext) -> Principal:
        """Give the principal of a request, whose `authorization` values are all that the request has.

        Raises:
            Unauthenticated: always the same outwardly; `detail` begins with the `Rule` that was broken.
        """
        credential = bearer(authorization)
        digest = digest_of(credential)
        token = self._verified.get(digest, now=self._clock.now(), monotonic=self._clock.monotonic())
        if token is None or not await self._keys_unchanged(token):
            self._verified.drop(digest)
            token = await self._verify(credential)
            self._verified.put(digest, token, monotonic=self._clock.monotonic())
        # 10 (certificate) and 12 depend on more than the token: they are never taken from memory.
        check_certificate(token.certificate, context.client_certificate)
        self._check_floor(token.principal)
        return token.principal

    async def _verify(self, credential: str) -> VerifiedToken:
        token = split(credential)  # 1
        header = token_header.read(token.header)  # 2
        claims = _read_claims(token)  # 7
        issuer = self._find_issuer(claims)  # 4
        if header.type not in issuer.settings.token_types:  # 3
            raise refused(Rule.TYP, "the header's typ is not one that this issuer's access tokens have")
        if header.algorithm not in issuer.settings.algorithms:  # 5
            raise refused(Rule.ALGORITHM, "the header's alg is not allowed for this issuer")
        key = await issuer.keys.find(header.kid)  # 5
        generation = issuer.keys.generation
        if header.algorithm not in key.algorithms or generation is None:  # 5
            raise refused(Rule.KEY_UNFIT, "the header's alg does not fit the key's type, curve or own alg")
        signature.verify(token, key, header.algorithm)  # 6
        access = read_access_token(  # 8 to 11, 13, 14
            claims,
            header_type=header.type,
            issuer=issuer.settings,
            groups=issuer.groups,
            now=self._clock.now(),
        )
        return VerifiedToken(principal=access.principal, generation=generation, certificate=access.certificate)

    def _find_issuer(self, claims: JsonObject) -> _Issuer:
        name = claims.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise refused(Rule.ISSUER_UNKNOWN, "iss is not the exact string of a configured issuer")
        return issuer

    async def _keys_unchanged(self, token: VerifiedToken) -> bool:
        keys = self._issuers[token.principal.issuer].keys
        await keys.refresh_if_stale()
        return keys.generation == token.generation

    def _check_floor(self, principal: Principal) -> None:
        floor = self._floors.floor(principal.issuer, principal.subject)
        if floor is not None and principal.issued_at.timestamp() <= floor:
            raise refused(Rule.TOKEN_FLOOR, "the token was issued before this identity was signed out everywhere")

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEWAL_SECONDS)
            async with asyncio.TaskGroup() as group:
                for issuer in self._issuers.values():
                    group.create_task(issuer.keys.refresh_early())


def _read_claims(token: CompactToken) -> JsonObject:
    try:
        return parse_object(token.payload, max_depth=_MAX_PAYLOAD_DEPTH)
    except NotStrictJson as problem:
        raise refused(Rule.PAYLOAD_JSON, f"the payload is refused: {problem}") from None


def _require_usable(settings: IdentitySettings) -> None:
    problems = []
    if not settings.issuers:
        problems.append("no issuer is configured: nobody could sign in")
    names = [issuer.issuer for issuer in settings.issuers]
    problems += [f"issuer `{name}` is configured twice" for name in sorted(set(names)) if names.count(name) > 1]
    for issuer in settings.issuers:
        unsupported = sorted(issuer.algorithms - signature.SUPPORTED_ALGORITHMS)
        if unsupported or not issuer.algorithms:
            problems.append(
                f"issuer `{issuer.issuer}`: algorithms {unsupported} cannot be verified: RS256, RS384, RS512, ES256, "
                "ES384 and ES512 can; let the provider sign access tokens with one of these"
            )
    if problems:
        raise ConfigurationError(tuple(problems))
