"""For whom a warehouse is made ready: everybody whom a grant of its login names, and whom the operator names beside.

Somebody who is several of these at once has another decision, and with it another role. Where that role is not there,
the person is sent to the query door; `--person` makes it ready.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from penstock_server.config.settings import RedshiftSettings
from penstock_server.credentials.native_roles import decided_role
from penstock_server.model.native import NativeRole, NotNativeError
from penstock_server.model.principal import (
    EveryoneOf,
    Group,
    Principal,
    PrincipalSelector,
    UserByName,
    UserBySubject,
)
from penstock_server.model.request import RequestFacts
from penstock_server.policy.bound import BoundPolicy


def subject_of(selectors: Iterable[PrincipalSelector], *, at: datetime, until: datetime) -> Principal:
    """Give somebody who is all of these, and nothing else.

    Raises:
        ValueError: they are of several issuers, or are two users.
    """
    named = tuple(selectors)
    issuers = {selector.issuer for selector in named}
    names = {selector.username for selector in named if isinstance(selector, UserByName)}
    subjects = {selector.subject for selector in named if isinstance(selector, UserBySubject)}
    if len(issuers) != 1 or len(names) > 1 or len(subjects) > 1:
        raise ValueError("one person is one user of one issuer, in any groups of it")
    return Principal(
        issuer=issuers.pop(),
        subject=subjects.pop() if subjects else "described by an operator",
        username=names.pop() if names else None,
        groups=frozenset(selector for selector in named if isinstance(selector, Group)),
        groups_complete=True,
        attributes=(),
        client_id=None,
        authentication_methods=(),
        issued_at=at,
        expires_at=until,
    )


def roles_of_login(
    policy: BoundPolicy, login: RedshiftSettings, extra: Iterable[Principal], *, facts: RequestFacts
) -> tuple[tuple[NativeRole, ...], tuple[str, ...]]:
    """Give the roles of all for whom the warehouse is made ready, and in words whose decisions it cannot enforce."""
    until = facts.at + timedelta(hours=1)
    granted = [
        selector
        for selector, grants in policy.redshift_grants.items()
        if any(grant.login.value == login.name for grant in grants)
    ]
    people = [(_words(selector), subject_of([selector], at=facts.at, until=until)) for selector in granted]
    people += [(f"a person named beside ({index})", one) for index, one in enumerate(extra, 1)]
    roles: dict[str, NativeRole] = {}
    refused = []
    for who, person in people:
        try:
            role = decided_role(policy, person, login, facts=facts).role
        except NotNativeError as error:
            refused.append(f"{who}: {error}")
        else:
            roles[role.name] = role
    return tuple(roles[name] for name in sorted(roles)), tuple(sorted(refused))


def _words(selector: PrincipalSelector) -> str:
    match selector:
        case Group():
            return f"group:{selector.name}"
        case UserByName():
            return f"user:{selector.username}"
        case UserBySubject():
            return f"user:{selector.issuer}|{selector.subject}"
        case EveryoneOf():
            return f"everyone@{selector.issuer}"
