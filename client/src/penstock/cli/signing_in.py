"""`penstock login`, `logout` and `whoami`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

import penstock
from penstock import endpoint
from penstock.cli import configuration_file
from penstock.cli.connecting import Connection, Target
from penstock.cli.notation import Notation, NotationOption, moment, print_json, print_members
from penstock.cli.options import connection, with_target
from penstock.cli.screen import messages, shown
from penstock.cli.session_source import wipe
from penstock.errors import NotFound, invalid
from penstock.login import Cached, DevicePrompt, SignInMetadata, sign_in, sign_out
from penstock.login.session_keyring import default_sessions
from penstock.login.web import Web


@with_target
def login(
    target: Target,
    *,
    host: Annotated[str | None, typer.Argument(metavar="HOST", help="The server.", show_default=False)] = None,
    issuer: Annotated[
        str | None, typer.Option("--issuer", metavar="URL", help="The identity provider, where there are several.")
    ] = None,
    device: Annotated[
        bool, typer.Option("--device", help="Sign in on another device, where the server permits it.")
    ] = False,
) -> None:
    """Sign in with a browser at the server's identity provider."""
    way = connection(_at(target, host))
    with way.open_without_token() as broker:
        metadata = _chosen(broker.sign_in_metadata(), issuer)
    sign_in(
        metadata,
        profile=way.profile,
        server=way.server,
        sessions=default_sessions(),
        web=Web(),
        show=_show_address,
        device_prompt=_show_code if device else None,
    )
    # Sessions that are kept may be those of whoever was signed in before.
    wipe(way)
    token = Cached(profile=way.profile, server=way.server)
    with penstock.connect(way.server, token=token, ca=way.ca, client_certificate=way.client_certificate) as broker:
        identity = broker.whoami()
    name = identity.username or identity.subject
    messages().print(f"signed in at {way.server} as {shown(name)} (profile {shown(way.profile)})", soft_wrap=True)
    _remember(way)


@with_target
def logout(target: Target) -> None:
    """Forget the sign-in, and end it at the identity provider where that can be done."""
    way = connection(target)
    found = sign_out(profile=way.profile, server=way.server, sessions=default_sessions(), web=Web())
    wipe(way)
    state = "signed out of" if found else "was not signed in at"
    messages().print(f"profile {shown(way.profile)} {state} {way.server}", soft_wrap=True)


@with_target
def whoami(target: Target, *, notation: NotationOption = Notation.TABLE) -> None:
    """Print who the server takes you for, and until when."""
    with connection(target).open() as broker:
        identity = broker.whoami()
    if notation is Notation.JSON:
        print_json(identity)
        return
    parts = [name for name, held in (("administrator", identity.administrator), ("auditor", identity.auditor)) if held]
    incomplete = "" if identity.groups_complete else " (the identity provider left some out)"
    print_members(
        [
            ("username", identity.username or "-"),
            ("subject", identity.subject),
            ("issuer", identity.issuer),
            ("groups", (", ".join(identity.groups) or "-") + incomplete),
            ("may also act as", ", ".join(parts) or "-"),
            ("token until", moment(identity.expires_at)),
            ("policy version", identity.policy_version),
        ]
    )


def _at(target: Target, host: str | None) -> Target:
    if host is None:
        return target
    if target.server is not None and endpoint.parse(target.server) != endpoint.parse(host):
        raise invalid("HOST", "is another server than that of `--server`")
    return Target(server=host).over(target)


def _chosen(offered: tuple[SignInMetadata, ...], issuer: str | None) -> SignInMetadata:
    usable = [each for each in offered if each.client_id]
    named = [each for each in usable if issuer is None or each.issuer == issuer]
    if named:
        return named[0]
    known = ", ".join(f"`{each.issuer}`" for each in usable)
    raise NotFound(
        "the server names no identity provider at which people can sign in",
        reason="NO_SIGN_IN",
        hint=f"known are {known}" if known else "bring a token of your own: `--token-file FILE` or PENSTOCK_TOKEN",
    )


def _show_address(address: str) -> None:
    messages().print(f"open this address to sign in:\n{shown(address)}", soft_wrap=True)


def _show_code(prompt: DevicePrompt) -> None:
    messages().print(f"open {shown(prompt.address)} on any device and type the code {shown(prompt.user_code)}")


def _remember(way: Connection) -> None:
    file = configuration_file.path(os.environ)
    if not configuration_file.remember(file, way.profile, way.server):
        messages().print(
            f"hint: add `server: {way.server}` for the profile {shown(way.profile)} to {shown(str(file))}, "
            "which is not rewritten because it was edited by hand",
            soft_wrap=True,
        )
