"""Sign-in by a code that is typed on another device (RFC 8628): only where the operator permits it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from penstock.login.discovery import Provider, discover
from penstock.login.errors import SignInFailed
from penstock.login.metadata import SignInMetadata
from penstock.login.tokens import Tokens, ask, audience_fields, error_of, tokens_of
from penstock.login.web import Answer, Web, require_safe

_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_DEFAULT_INTERVAL_SECONDS: Final = 5.0
_SLOWER_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePrompt:
    """What to show to the user. `complete` is the address with the code in it, or None."""

    address: str
    user_code: str
    complete: str | None


def sign_in_with_device(
    metadata: SignInMetadata,
    web: Web,
    *,
    prompt: Callable[[DevicePrompt], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Tokens:
    """Show a code, and wait until the user typed it in a browser anywhere.

    Raises:
        SignInFailed: not permitted, not supported, refused, or not done before the code expired.
    """
    # SECURITY: whoever is talked into typing a stranger's code signs the stranger in; the operator decides.
    if not metadata.device_flow:
        raise SignInFailed("sign-in by device code is not permitted by this server; use a browser")
    provider = discover(metadata.issuer, web)
    if provider.device_authorization_endpoint is None:
        raise SignInFailed(f"`{metadata.issuer}` has no sign-in by device code")
    fields = {"client_id": metadata.client_id, "scope": " ".join(metadata.scopes), **audience_fields(metadata)}
    begun = web.post(provider.device_authorization_endpoint, fields)
    if begun.status != 200:
        raise SignInFailed(f"the provider refused: {error_of(begun)}")
    prompt(_prompt(begun))
    return _poll(provider, metadata, begun, web, sleep)


def _prompt(begun: Answer) -> DevicePrompt:
    address, user_code = begun.text("verification_uri"), begun.text("user_code")
    if address is None or user_code is None or not user_code.isprintable():
        raise SignInFailed("the provider gave no code to show")
    complete = begun.text("verification_uri_complete")
    for shown in (address, complete):
        if shown is not None:
            require_safe(shown)
    return DevicePrompt(address=address, user_code=user_code, complete=complete)


def _poll(
    provider: Provider, metadata: SignInMetadata, begun: Answer, web: Web, sleep: Callable[[float], None]
) -> Tokens:
    device_code = begun.text("device_code")
    lifetime = begun.seconds("expires_in")
    if device_code is None or lifetime is None:
        raise SignInFailed("the provider gave no device code, or not for how long it is good")
    interval = begun.seconds("interval") or _DEFAULT_INTERVAL_SECONDS
    waited = 0.0
    while waited < lifetime:
        sleep(interval)
        waited += interval
        answer = ask(provider, metadata, {"grant_type": _GRANT, "device_code": device_code}, web)
        if answer.status == 200:
            return tokens_of(answer, now=time.time())
        match error_of(answer):
            case "authorization_pending":
                pass
            case "slow_down":
                interval += _SLOWER_SECONDS
            case refusal:
                raise SignInFailed(f"the provider refused: {refusal}")
    raise SignInFailed("nobody typed the code in time")
