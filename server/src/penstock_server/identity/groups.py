"""Step 14: the groups of a token.

Groups only ever give: a list that is absent, cut or pointed to elsewhere means fewer groups, never all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from penstock_server.config.settings import IdentitySettings, IssuerSettings
from penstock_server.identity.refusal import Rule, refused
from penstock_server.identity.strict_json import Json, JsonObject
from penstock_server.identity.text import is_name
from penstock_server.model.principal import Group

MAX_GROUPS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRule:
    """Where an issuer's tokens list groups, and which names are not its own to give.

    `claim` is the path of member names. `reserved_prefixes` are those of other issuers: a group of the default
    issuer that begins with one would read like a group of that issuer, and is dropped.
    """

    issuer: str
    claim: tuple[str, ...]
    reserved_prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenGroups:
    """The groups that a token lists; `complete` is False where it has no list or says that it was cut."""

    groups: frozenset[Group]
    complete: bool


def group_rule(issuer: IssuerSettings, identity: IdentitySettings) -> GroupRule:
    """Give the rule of one issuer among all."""
    prefixes = tuple(other.group_prefix for other in identity.issuers if other.group_prefix)
    return GroupRule(
        issuer=issuer.issuer, claim=issuer.groups_claim, reserved_prefixes=prefixes if issuer.default else ()
    )


def read_groups(claims: JsonObject, rule: GroupRule) -> TokenGroups:
    """Give the groups of a token.

    Raises:
        Unauthenticated: the claim is no list of names, or holds more than 1000.
    Source: Microsoft Entra, "groups overage claim": `_claim_names`, `_claim_sources`, `hasgroups`. The address in
    the token is never followed.
    """
    found, listed = _find(claims, rule.claim)
    if not found:
        return TokenGroups(groups=frozenset(), complete=False)
    if not isinstance(listed, list) or len(listed) > MAX_GROUPS:
        raise refused(Rule.GROUPS, "the groups claim is not a list of at most 1000 names")
    names = {name for name in listed if isinstance(name, str) and is_name(name)}
    if not all(isinstance(name, str) and name in names for name in listed):
        raise refused(Rule.GROUPS, "a group is not a string of 1 to 256 characters without control characters")
    groups = frozenset(
        Group(issuer=rule.issuer, name=name) for name in names if not name.startswith(rule.reserved_prefixes)
    )
    return TokenGroups(groups=groups, complete=not _says_that_it_was_cut(claims, rule.claim[0]))


def _find(claims: JsonObject, path: tuple[str, ...]) -> tuple[bool, Json]:
    value: Json = claims
    for name in path:
        if not isinstance(value, dict):
            raise refused(Rule.GROUPS, "the path of the groups claim leads through something that is no object")
        if name not in value:
            return False, None
        value = value[name]
    return True, value


def _says_that_it_was_cut(claims: JsonObject, claim: str) -> bool:
    elsewhere = claims.get("_claim_names", {})
    return "hasgroups" in claims or not isinstance(elsewhere, dict) or claim in elsewhere
