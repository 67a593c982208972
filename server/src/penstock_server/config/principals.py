"""How configuration and policies name principals: `user:NAME`, `group:NAME`, `user:ISSUER|SUB`, `everyone`."""

from __future__ import annotations

import unicodedata
from typing import Final

from penstock_server.config.settings import IssuerSettings
from penstock_server.model.principal import (
    EveryoneOf,
    Group,
    KnownIssuers,
    PrincipalSelector,
    UserByName,
    UserBySubject,
)

MAX_NAME_LENGTH: Final = 256
"""Longest user or group name, in characters; the token verifier accepts no longer ones."""

_FORMS: Final = "`user:NAME`, `group:NAME`, `user:ISSUER|SUB`, `everyone` or `everyone@ISSUER`"


def known_issuers(issuers: tuple[IssuerSettings, ...]) -> KnownIssuers:
    """Give how names resolve to issuers."""
    default = next((issuer.issuer for issuer in issuers if issuer.default), "")
    return KnownIssuers(
        default=default,
        issuers=tuple(issuer.issuer for issuer in issuers),
        prefixes=tuple((issuer.group_prefix, issuer.issuer) for issuer in issuers if issuer.group_prefix),
    )


def parse_selector(text: str, issuers: KnownIssuers) -> PrincipalSelector:
    """Give the principals that a name means; names compare exactly, nothing is trimmed or folded.

    A `group:` name that begins with the prefix of a configured issuer means that issuer's group, without the prefix;
    every other name is one of the default issuer. A `|` in a user name splits at the first one: the left part is then
    an issuer.

    Raises:
        ValueError: it has no such form, or names an issuer that is not configured; the text says which, and how to
            mend it, and goes well after the name itself in backticks.
    """
    if text == "everyone":
        return EveryoneOf(issuer=issuers.default)
    kind, separator, name = text.partition(":")
    if text.startswith("everyone@"):
        return EveryoneOf(issuer=_known(text.removeprefix("everyone@"), issuers))
    if not separator or kind not in {"user", "group"}:
        raise ValueError(f"names no principal; write {_FORMS}")
    if kind == "user":
        issuer, bar, subject = name.partition("|")
        if bar:
            return UserBySubject(issuer=_known(issuer, issuers), subject=_name(subject))
        return UserByName(issuer=issuers.default, username=_name(name))
    return _group(_name(name), issuers)


def _group(name: str, issuers: KnownIssuers) -> Group:
    # INVARIANT: no prefix begins another, so at most one matches. A group is the pair of issuer and the name in that
    # issuer's own tokens: the prefix exists in files only, and the verifier drops groups of the default issuer that
    # begin with one, so a written name means one group.
    for prefix, issuer in issuers.prefixes:
        if name.startswith(prefix):
            return Group(issuer=issuer, name=_name(name.removeprefix(prefix)))
    return Group(issuer=issuers.default, name=name)


def _known(issuer: str, issuers: KnownIssuers) -> str:
    if issuer not in issuers.issuers:
        raise ValueError("names an issuer that is not configured; write it exactly as under `identity.issuers`")
    return issuer


def _name(name: str) -> str:
    if not name:
        raise ValueError(f"holds an empty name; write {_FORMS}")
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"holds a name of more than {MAX_NAME_LENGTH} characters")
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise ValueError("holds a control character")
    return name
