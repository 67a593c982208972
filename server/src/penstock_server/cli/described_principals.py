"""Principals that an operator describes, in place of a token: for tools that ask what somebody would see."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import datetime

from penstock_server.broker.explained_principals import AskedPrincipal
from penstock_server.config.principals import parse_selector
from penstock_server.errors import InvalidRequest
from penstock_server.model.principal import KnownIssuers, UserByName, UserBySubject
from penstock_server.query.requests import OtherPrincipal

Attributes = tuple[tuple[str, tuple[str, ...]], ...]


def described_principal(
    who: str,
    issuers: KnownIssuers,
    *,
    groups: Iterable[str],
    attributes: Attributes,
    source_address: str,
    at: datetime,
) -> OtherPrincipal:
    """Give the principal of `user:NAME` or `user:ISSUER|SUB`, as a token issued at this instant would make them.

    `groups` are named as the issuer's own tokens name them. A name has no subject and a subject no name: grants to the
    other do not reach who is described.

    Raises:
        ValueError: it means no single user, or a part of the description breaks a rule; the text says which.
    """
    selector = parse_selector(who, issuers)
    match selector:
        case UserByName():
            username, subject = selector.username, ""
        case UserBySubject():
            username, subject = "", selector.subject
        case _:
            raise ValueError("names no single user; write `user:NAME` or `user:ISSUER|SUB`")
    asked = AskedPrincipal(
        issuer=selector.issuer,
        username=username,
        subject=subject,
        groups=tuple(groups),
        attributes=attributes,
        source_address=source_address,
    )
    try:
        return asked.described(issuers, at=at)
    except InvalidRequest as error:
        raise ValueError(f"is refused: {error.message}") from error


def parse_attribute(text: str) -> tuple[str, str]:
    """Read `NAME=VALUE`. Raises ValueError."""
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise ValueError("is not of the form NAME=VALUE")
    return name, value


def parse_address(text: str) -> str:
    """Read a literal IP address. Raises ValueError."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise ValueError("is no IP address; write one such as 10.1.2.3") from None
    return text


def grouped(pairs: Iterable[tuple[str, str]]) -> Attributes:
    """Give each name with all its values, in their order."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return tuple((name, tuple(values)) for name, values in found.items())
