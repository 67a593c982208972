"""What was decided, said once more: which requests a session may make.

A request is meant where one permit holds it: its action is listed, its resource matches, each key of `within` is there
and matches, and, as the fence must see to, each key of `without` is absent and the instant is before `until`.

The table of actions stands here a second time on purpose: a mistake in the builder's is not to be repeated.
Source: AWS service authorization reference, Amazon S3 (actions, resource types, condition keys).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from penstock_server.credentials.proof.domains import BUCKETS_AND_OBJECTS
from penstock_server.credentials.proof.item_permits import item_actions, resource_of
from penstock_server.credentials.proof.keys import (
    ATTRIBUTES,
    CUSTOMER_KEY,
    LEADING_KEYS,
    PREFIX,
    RESOURCE_ACCOUNT,
    SELECT,
)
from penstock_server.credentials.proof.patterns import Pattern, beginning, text_of
from penstock_server.credentials.proof.service_permits import ServicePermit, service_permits
from penstock_server.model.decision import S3Scope
from penstock_server.model.dynamodb import DynamoDbScope
from penstock_server.model.resource import S3Permission
from penstock_server.model.services import ServiceScope

ON_OBJECTS: Final = {
    S3Permission.READ: frozenset({"s3:getobject"}),
    S3Permission.WRITE: frozenset({"s3:putobject", "s3:abortmultipartupload", "s3:listmultipartuploadparts"}),
    S3Permission.VERSIONS: frozenset({"s3:getobjectversion"}),
    S3Permission.DELETE: frozenset({"s3:deleteobject"}),
    S3Permission.LIST: frozenset(),
}
ON_BUCKETS: Final = frozenset({"s3:listbucket", "s3:listbucketversions"})
_LISTED: Final = "s3:listbucket"
_VERSIONS_LISTED: Final = "s3:listbucketversions"
_PUT: Final = "s3:putobject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What the policy decided for one session.

    `account` owns the buckets. `ends` are the instants at which the decision may end, `session_ends_by` is when the
    session is over at the latest, by whichever clock: a decision that ends before must be closed by the policy itself.
    """

    scopes: tuple[S3Scope, ...]
    account: str
    ends: tuple[datetime, ...]
    session_ends_by: datetime
    items: tuple[DynamoDbScope, ...] = ()
    services: tuple[ServiceScope, ...] = ()

    @property
    def until(self) -> datetime | None:
        """The instant from which on nothing is meant, None where the session is over before."""
        first = min(self.ends, default=self.session_ends_by)
        return first if first < self.session_ends_by else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """Requests that are meant; `actions` and keys are in lower case.

    Each key of `among` is there, and all of its elements are in the list; each of `if_there` matches or is absent.
    """

    actions: frozenset[str]
    resource: Pattern
    within: tuple[tuple[str, Pattern], ...]
    without: tuple[str, ...]
    until: datetime | None
    among: tuple[tuple[str, frozenset[str]], ...] = ()
    if_there: tuple[tuple[str, Pattern], ...] = ()


def permits_of(decided: Decided, *, until: datetime | None) -> tuple[Permit, ...]:
    """Give what was decided as permits that hold until an instant."""
    return (
        *(permit for scope in decided.scopes for permit in _permits(scope, decided.account, until)),
        *(_items(scope, decided.account, until) for scope in decided.items),
        *(_service(permit, until) for scope in decided.services for permit in service_permits(scope)),
    )


def _service(permit: ServicePermit, until: datetime | None) -> Permit:
    return Permit(
        actions=permit.actions,
        resource=permit.resource,
        within=permit.within,
        without=(),
        until=until,
        if_there=permit.if_there,
    )


def _items(scope: DynamoDbScope, account: str, until: datetime | None) -> Permit:
    lists = ((LEADING_KEYS, scope.leading_keys), (ATTRIBUTES, scope.attributes))
    selected = () if scope.attributes is None else ((SELECT, text_of("SPECIFIC_ATTRIBUTES")),)
    return Permit(
        actions=item_actions(scope),
        resource=text_of(resource_of(scope.target)),
        within=((RESOURCE_ACCOUNT, text_of(account)), *selected),
        without=(),
        until=until,
        among=tuple((key, frozenset(values)) for key, values in lists if values is not None),
    )


def _permits(scope: S3Scope, account: str, until: datetime | None) -> Iterable[Permit]:
    owned = ((RESOURCE_ACCOUNT, text_of(account)),)
    bucket, key = f"{BUCKETS_AND_OBJECTS}{scope.location.bucket}", scope.location.key
    names = f"{bucket}/{key}"
    resource = text_of(names) if scope.exact else beginning(names)
    actions = frozenset(action for permission in scope.permissions for action in ON_OBJECTS[permission])
    # The writer's own key matters where something is written, so that writing is a permit of its own.
    for some, without in ((actions - {_PUT}, ()), (actions & {_PUT}, (CUSTOMER_KEY,))):
        if some:
            yield Permit(actions=some, resource=resource, within=owned, without=without, until=until)
    if scope.exact or S3Permission.LIST not in scope.permissions:
        return
    listed = {_LISTED, _VERSIONS_LISTED} if S3Permission.VERSIONS in scope.permissions else {_LISTED}
    under = ((PREFIX, beginning(key)),) if key else ()
    yield Permit(
        actions=frozenset(listed),
        resource=text_of(bucket),
        within=(*under, *owned),
        without=(),
        until=until,
    )
