"""What `penstock login` and `penstock logout` do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from penstock.login.browser import OpenBrowser, open_in_browser, sign_in_with_browser
from penstock.login.device import DevicePrompt, sign_in_with_device
from penstock.login.discovery import discover
from penstock.login.errors import SignInFailed
from penstock.login.metadata import SignInMetadata
from penstock.login.sessions import Session, Sessions
from penstock.login.web import Web


def sign_in(
    metadata: SignInMetadata,
    *,
    profile: str,
    server: str,
    sessions: Sessions,
    web: Web,
    show: Callable[[str], None],
    device_prompt: Callable[[DevicePrompt], None] | None = None,
    open_browser: OpenBrowser = open_in_browser,
) -> Session:
    """Sign in and keep the tokens: by device code where `device_prompt` is given, otherwise in a browser.

    Raises:
        SignInFailed: the sign-in did not end with tokens, or they cannot be kept.
    """
    if device_prompt is not None:
        tokens = sign_in_with_device(metadata, web, prompt=device_prompt)
    else:
        tokens = sign_in_with_browser(metadata, web, show=show, open_browser=open_browser)
    session = Session(profile=profile, server=server, metadata=metadata, tokens=tokens)
    sessions.save(session)
    return session


def sign_out(*, profile: str, server: str, sessions: Sessions, web: Web) -> bool:
    """Forget the sign-in, and ask the provider to end it where it can; tell whether there was one."""
    session = sessions.load(profile, server)
    sessions.forget(profile, server)
    if session is None:
        return False
    # The tokens are gone from here whether or not the provider answers.
    with suppress(SignInFailed):
        provider = discover(session.metadata.issuer, web)
        if provider.revocation_endpoint is not None and session.tokens.refresh_token is not None:
            fields = {"token": session.tokens.refresh_token, "client_id": session.metadata.client_id}
            web.post(provider.revocation_endpoint, {**fields, "token_type_hint": "refresh_token"})
    return True
