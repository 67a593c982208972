"""Two people sign in at the real OpenID provider of the demo, as a browser would."""

from __future__ import annotations

import html
import re
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable

import penstock
from penstock.login import SignInMetadata, sign_in_with_browser
from penstock.login.web import Web


def sign_in(metadata: SignInMetadata, username: str) -> str:
    """Sign in by authorization code with PKCE, choosing `username` on the provider's page; gives the access token."""
    tokens = sign_in_with_browser(metadata, Web(), show=print, open_browser=_browser_that_clicks(username))
    return tokens.access_token


def connect(address: str, token: str) -> penstock.Broker:
    """Connect as an analyst's tool does."""
    return penstock.connect(address, token=token)


def visit(address: str, username: str) -> None:
    """Open the provider's page and choose a user on it."""
    with urllib.request.urlopen(address) as page:  # noqa: S310 - the loopback address of the demo's provider
        form = page.read().decode()
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form))
    fields = {name: html.unescape(value) for name, value in fields.items()} | {"username": username}
    request = urllib.request.Request(  # noqa: S310 - the same address
        address.partition("?")[0],
        data=urllib.parse.urlencode(fields).encode(),
        headers={"Origin": "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(address))},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - follows the redirect to the waiting client
        answer.read()


def _browser_that_clicks(username: str) -> Callable[[str], bool]:
    def open_browser(address: str) -> bool:
        threading.Thread(target=visit, args=(address, username), daemon=True).start()
        return True

    return open_browser
