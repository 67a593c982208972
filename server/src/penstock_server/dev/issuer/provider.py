"""The development issuer, put together."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from types import TracebackType

from penstock_server.dev.issuer import pages
from penstock_server.dev.issuer.authorization import SignInPages
from penstock_server.dev.issuer.exchange import Request, Response, html_response, json_response
from penstock_server.dev.issuer.listener import Listener
from penstock_server.dev.issuer.people import DevClient, DevUser
from penstock_server.dev.issuer.redemption import DEVICE_GRANT, TokenEndpoint
from penstock_server.dev.issuer.signing import ALGORITHM, SigningKey
from penstock_server.dev.issuer.tokens import SignIn, TokenWriter
from penstock_server.model.clock import Clock, SystemClock


class DevIssuer:
    """An OpenID provider on a loopback address. Bound once made, answering between `start` and `stop`."""

    def __init__(
        self,
        host: str,
        port: int,
        users: tuple[DevUser, ...],
        audience: str,
        clients: tuple[DevClient, ...],
        *,
        clock: Clock | None = None,
    ) -> None:
        """Bind to `host` and `port` (0 takes a free one) and make a key.

        Raises:
            ConfigurationError: the address is not loopback.
            OSError: the port is taken.
        """
        clock = clock or SystemClock()
        self._listener = Listener(host, port)
        self._key = SigningKey()
        self._users = users
        self._clients = clients
        self._writer = TokenWriter(issuer=self.issuer, audience=audience, key=self._key, clock=clock)
        sign_in = SignInPages(issuer=self.issuer, users=users, clients=clients, clock=clock)
        tokens = TokenEndpoint(
            issuer=self.issuer, audience=audience, clients=clients, pages=sign_in, writer=self._writer, clock=clock
        )
        self._routes: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", "/.well-known/openid-configuration"): self._discovery,
            ("GET", "/jwks"): self._jwks,
            ("GET", "/authorize"): sign_in.authorize,
            ("POST", "/authorize"): sign_in.chosen,
            ("GET", "/device"): sign_in.device,
            ("POST", "/device"): sign_in.device_chosen,
            ("POST", "/device_authorization"): tokens.begin_device,
            ("POST", "/token"): tokens.token,
        }

    @property
    def issuer(self) -> str:
        """The issuer's exact string, which is also its address."""
        return self._listener.origin

    def start(self) -> None:
        """Begin to answer."""
        self._listener.start(self._answer)

    def stop(self) -> None:
        """Stop answering and let go of the port."""
        self._listener.stop()

    def __enter__(self) -> DevIssuer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def mint(self, username: str, **overrides: object) -> str:
        """Give an access token for a user without any sign-in; `overrides` replace claims, None removes one.

        Raises:
            KeyError: no such user.
        """
        user = {user.username: user for user in self._users}[username]
        now = self._writer.now()
        client_id = self._clients[0].client_id
        sign_in = SignIn(user=user, client_id=client_id, scopes=("openid",), nonce="", signed_in_at=now)
        return self._writer.access_token(sign_in, overrides)

    def _answer(self, request: Request) -> Response:
        route = self._routes.get((request.method, request.path))
        if route is None:
            page = pages.message("Nothing here", f"Sign-in starts in your terminal. Issuer: {self.issuer}")
            return html_response(page, HTTPStatus.NOT_FOUND)
        return route(request)

    def _jwks(self, request: Request) -> Response:
        del request
        return json_response(self._key.jwks())

    def _discovery(self, request: Request) -> Response:
        del request
        return json_response(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "device_authorization_endpoint": f"{self.issuer}/device_authorization",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [ALGORITHM],
                "grant_types_supported": ["authorization_code", "refresh_token", DEVICE_GRANT],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
                "scopes_supported": ["openid", "offline_access"],
                "claims_supported": ["sub", "preferred_username", "groups"],
                "authorization_response_iss_parameter_supported": True,
            }
        )
