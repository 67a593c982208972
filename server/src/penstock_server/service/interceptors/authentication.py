"""Who calls: the bearer token to a principal, before the message is looked at."""

from __future__ import annotations

from typing import Protocol

from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestContext
from penstock_server.service.calls import Call, Metadata, Proceed

_KEY = "authorization"


class Authenticator(Protocol):
    """The broker's part: verifies, counts refusals."""

    async def authenticate(self, authorization: tuple[str, ...], context: RequestContext) -> Principal:
        """Verify the token. Raises Unauthenticated, whatever the cause."""
        ...


class Authentication:
    """Sets `Call.principal` for every call that is not open.

    SECURITY: what is not listed as open needs a token; a method that is forgotten is closed
    (test_only_sign_in_health_and_reflection_are_open).
    """

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def around(self, call: Call, proceed: Proceed) -> bytes | None:
        """Let the call proceed once its caller is known. Raises Unauthenticated."""
        if not call.open:
            call.principal = await self._authenticator.authenticate(_headers(call.metadata), call.context)
        return await proceed()


def _headers(metadata: Metadata) -> tuple[str, ...]:
    """Give every authorization header; the verifier refuses all but exactly one."""
    return tuple(value if isinstance(value, str) else value.decode("latin-1") for key, value in metadata if key == _KEY)
