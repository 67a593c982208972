"""What a lease keeps so that it can be decided anew: who asked, for what, and what came of it. No secret."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from penstock_server.credentials.requests import AwsCredentialRequest
from penstock_server.credentials.scopes import s3
from penstock_server.model.decision import Access, S3Scope
from penstock_server.model.dynamodb import DynamoDbScope
from penstock_server.model.principal import Group, Principal
from penstock_server.model.services import ServiceScope

_FORM: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseGrounds:
    """`request` is None for a Redshift login. `reach` are (permission, ARN) pairs, or (`CONNECT`, group) of a login.

    `database_user` is that of a login, "" where the lease has one of its own.
    """

    principal: Principal
    peer_address: str
    request: AwsCredentialRequest | None
    login: str
    purpose: str
    ttl: timedelta | None
    reach: frozenset[tuple[str, str]]
    database_user: str = ""


def reach_of(
    scopes: Iterable[S3Scope], items: Iterable[DynamoDbScope] = (), services: Iterable[ServiceScope] = ()
) -> frozenset[tuple[str, str]]:
    """Give what scopes reach as pairs of a permission and an ARN; of items also each key and each attribute.

    Of a resource that is named whole also its limits: one whose limits change is another.

    What is restricted is no part of what is not: a lease that would be given wider is taken for one that would not.
    """
    return frozenset(
        (
            *((permission.value, s3.arn_of(scope)) for scope in scopes for permission in scope.permissions),
            *(
                (scope.permission.value, json.dumps([str(scope.target), key, name]))
                for scope in items
                for key in scope.leading_keys or (None,)
                for name in scope.attributes or (None,)
            ),
            *(
                (
                    scope.permission.value,
                    json.dumps([str(scope.target), *([each.name, each.values] for each in scope.limits)]),
                )
                for scope in services
            ),
        )
    )


def print_grounds(grounds: LeaseGrounds) -> str:
    """Give grounds as the text that a lease keeps."""
    principal, request = grounds.principal, grounds.request
    return json.dumps(
        {
            "form": _FORM,
            "issuer": principal.issuer,
            "subject": principal.subject,
            "username": principal.username,
            "groups": sorted([group.issuer, group.name] for group in principal.groups),
            "groups_complete": principal.groups_complete,
            "attributes": principal.attributes,
            "client_id": principal.client_id,
            "authentication_methods": principal.authentication_methods,
            "issued_at": principal.issued_at.isoformat(),
            "expires_at": principal.expires_at.isoformat(),
            "peer_address": grounds.peer_address,
            "resources": None if request is None else request.resources,
            "access": None if request is None else [access.value for access in request.access],
            "login": grounds.login,
            "purpose": grounds.purpose,
            "ttl": None if grounds.ttl is None else grounds.ttl.total_seconds(),
            "reach": sorted(grounds.reach),
            "database_user": grounds.database_user,
        },
        separators=(",", ":"),
    )


def read_grounds(text: str) -> LeaseGrounds:
    """Read what `print_grounds` gave.

    Raises:
        ValueError: the text has another form.
    """
    try:
        found: dict[str, Any] = json.loads(text)
        if found["form"] != _FORM:
            raise ValueError("the grounds have another form")
        ttl = None if found["ttl"] is None else timedelta(seconds=found["ttl"])
        request = None
        if found["resources"] is not None:
            request = AwsCredentialRequest(
                resources=tuple(found["resources"]),
                access=tuple(Access(value) for value in found["access"]),
                ttl=ttl,
                purpose=found["purpose"],
                request_id=None,
            )
        return LeaseGrounds(
            principal=_principal(found),
            peer_address=found["peer_address"],
            request=request,
            login=found["login"],
            purpose=found["purpose"],
            ttl=ttl,
            reach=frozenset((permission, arn) for permission, arn in found["reach"]),
            database_user=found.get("database_user", ""),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("the grounds of the lease cannot be read") from error


def _principal(found: dict[str, Any]) -> Principal:
    return Principal(
        issuer=found["issuer"],
        subject=found["subject"],
        username=found["username"],
        groups=frozenset(Group(issuer=issuer, name=name) for issuer, name in found["groups"]),
        groups_complete=found["groups_complete"],
        attributes=tuple((name, tuple(values)) for name, values in found["attributes"]),
        client_id=found["client_id"],
        authentication_methods=tuple(found["authentication_methods"]),
        issued_at=datetime.fromisoformat(found["issued_at"]),
        expires_at=datetime.fromisoformat(found["expires_at"]),
    )
