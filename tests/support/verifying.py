"""A verifier with one issuer whose keys are in a file, and how tests ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from penstock_server.errors import Reason, Unauthenticated
from penstock_server.identity.verifier import TokenVerifier
from penstock_server.model.ports import TokenFloors
from penstock_server.model.principal import Principal

from support.tokens import (
    NoFloors,
    SigningKey,
    SteppedClock,
    TokenMint,
    identity_settings,
    issuer_settings,
    request_context,
    rsa_key,
    write_jwks,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A running verifier, the mint of its issuer, its clock and its key file."""

    verifier: TokenVerifier
    mint: TokenMint
    clock: SteppedClock
    jwks_file: Path

    async def accepts(self, token: str, *, certificate: bytes | None = None) -> Principal:
        """Verify a token that must be good."""
        return await self.verifier.verify((f"Bearer {token}",), request_context(client_certificate=certificate))

    async def refuses(self, token: str, *, certificate: bytes | None = None) -> str:
        """Verify a token that must be refused; the rule that it broke."""
        return await refusal(self.verifier, f"Bearer {token}", certificate=certificate)

    def publish(self, *keys: SigningKey | Mapping[str, Any]) -> None:
        """Replace the key file, and let the time pass after which it is looked at again."""
        write_jwks(self.jwks_file, *keys)
        self.clock.advance(timedelta(seconds=2))


@asynccontextmanager
async def verifying(
    folder: Path,
    *keys: SigningKey | Mapping[str, Any],
    mint: TokenMint | None = None,
    floors: TokenFloors | None = None,
    **settings: Any,
) -> AsyncIterator[Bench]:
    """Run a verifier for the test issuer with these settings and these published keys (an RSA key by default)."""
    clock = SteppedClock()
    jwks_file = write_jwks(folder / "jwks.json", *(keys or (rsa_key(),)))
    issuer = issuer_settings(jwks_file=jwks_file, **settings)
    verifier = TokenVerifier(identity_settings(issuer), floors or NoFloors(), clock)
    await verifier.start()
    try:
        minted = replace(mint or TokenMint(key=rsa_key()), now=clock.now)
        yield Bench(verifier=verifier, mint=minted, clock=clock, jwks_file=jwks_file)
    finally:
        await verifier.close()


async def refusal(verifier: TokenVerifier, *authorization: str, certificate: bytes | None = None) -> str:
    """The rule by which this `authorization` is refused; outwardly it is the one error, and nothing of it leaks."""
    with pytest.raises(Unauthenticated) as caught:
        await verifier.verify(authorization, request_context(client_certificate=certificate))
    error = caught.value
    outward = (error.reason, error.message, error.hint, error.metadata, error.fields)
    assert outward == (
        Reason.UNAUTHENTICATED,
        "the request carries no acceptable access token",
        "sign in again with `penstock login`, or present a fresh access token",
        (),
        (),
    )
    assert error.__cause__ is None
    for value in authorization:
        assert not any(part in error.detail for part in value.split(".") if len(part) > 12)
    return error.detail.partition(":")[0]
