"""What a decision on items of DynamoDB rests on, and whether it stays within it.

Every leading key of a decided scope must, with all of its attributes, be given by one grant that the decision names,
taken away by no denial, and asked for. Leading keys are read anew from the texts of the grants, with the claims of the
caller put in here: a mistake in how the policy resolves them is not to be repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from penstock_server.credentials.proof.item_permits import item_actions, resource_of
from penstock_server.credentials.proof.keys import LEADING_KEYS
from penstock_server.credentials.proof.outcomes import Doubt, Refused, Request
from penstock_server.credentials.proof.patterns import NotUnderstood
from penstock_server.model.decision import Access
from penstock_server.model.dynamodb import DynamoDbPermission, DynamoDbScope

_PART: Final = re.compile(
    r"\$\{(?P<sign>[*?$])\}|\$\{(?P<claim>penstock:[A-Za-z0-9_./@:-]+)\}|(?P<open>\$\{)|(?P<text>.)"
)
_ASKED_BY: Final = {Access.READ: DynamoDbPermission.READ, Access.WRITE: DynamoDbPermission.WRITE}


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedItems:
    """What one grant gives; None = all. `leading_keys` are values, not texts of the policy."""

    resource: str
    permissions: frozenset[DynamoDbPermission]
    leading_keys: frozenset[str] | None
    attributes: frozenset[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemGrounds:
    """What a decision rests on. `denied` and `asked` pair the ARN of a table or an index with permissions."""

    granted: tuple[GrantedItems, ...]
    denied: tuple[tuple[str, frozenset[DynamoDbPermission]], ...]
    asked: tuple[tuple[str, frozenset[DynamoDbPermission]], ...]


def value_of(text: str, claims: Mapping[str, str]) -> str:
    """Give the leading key that a text means; `claims` by the names of their variables in lower case.

    Raises:
        NotUnderstood: it holds a variable without a claim, or something else that begins like one.
    """
    found: list[str] = []
    for part in _PART.finditer(text):
        if part["open"]:
            raise NotUnderstood(f"the leading key {text!r}")
        claim = part["claim"]
        if claim is not None and not claims.get(claim.lower()):
            raise NotUnderstood(f"the leading key {text!r} without a claim")
        found.append(part["sign"] or part["text"] or claims[claim.lower()])
    return "".join(found)


def asked_items(arn: str, access: Iterable[Access]) -> tuple[str, frozenset[DynamoDbPermission]]:
    """Give what a requested ARN asks for."""
    return arn, frozenset(_ASKED_BY[each] for each in access if each in _ASKED_BY)


def items_beyond(scopes: Iterable[DynamoDbScope], grounds: ItemGrounds) -> Refused | None:
    """Give what a decision holds beyond its grounds, or None."""
    for scope in scopes:
        resource = resource_of(scope.target)
        if any(_lies_in(resource, arn) and _takes(some, scope.permission) for arn, some in grounds.denied):
            return _refused(Doubt.DENIED, scope, None)
        if not any(resource == arn and scope.permission in some for arn, some in grounds.asked):
            return _refused(Doubt.NOT_ASKED, scope, None)
        for key in (None,) if scope.leading_keys is None else scope.leading_keys:
            if not any(_gives(grant, scope, resource, key) for grant in grounds.granted):
                return _refused(Doubt.NOT_GRANTED, scope, key)
    return None


def _gives(grant: GrantedItems, scope: DynamoDbScope, resource: str, key: str | None) -> bool:
    return (
        grant.resource == resource
        and scope.permission in grant.permissions
        and (grant.leading_keys is None or (key is not None and key in grant.leading_keys))
        and (
            grant.attributes is None or (scope.attributes is not None and grant.attributes.issuperset(scope.attributes))
        )
    )


def _lies_in(resource: str, denied: str) -> bool:
    return resource == denied or resource.startswith(f"{denied}/index/")


def _takes(some: frozenset[DynamoDbPermission], permission: DynamoDbPermission) -> bool:
    # A write can return the item, so that what may not be read may not be written.
    return permission in some or DynamoDbPermission.READ in some


def _refused(doubt: Doubt, scope: DynamoDbScope, key: str | None) -> Refused:
    action = min(item_actions(scope), default="")
    request = Request(action=action, resource=resource_of(scope.target), context=((LEADING_KEYS, key),))
    return Refused(doubt=doubt, witness=request)
