"""Steps 8 to 11, 13 and 14 together: verified claims -> a principal. Pure: no I/O, time is passed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from penstock_server.config.settings import IssuerSettings
from penstock_server.identity.claims import check_audience, check_client, check_required, check_validity
from penstock_server.identity.groups import GroupRule, read_groups
from penstock_server.identity.naming import read_attributes, read_methods, read_subject, read_username
from penstock_server.identity.strict_json import JsonObject
from penstock_server.identity.token_kind import check_kind, required_certificate
from penstock_server.model.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What a token gives: a principal, and the thumbprint of the certificate that it is bound to, if any."""

    principal: Principal
    certificate: str | None


def read_access_token(
    claims: JsonObject, *, header_type: str, issuer: IssuerSettings, groups: GroupRule, now: datetime
) -> AccessToken:
    """Check the claims of a token whose signature was verified, and give its principal.

    Raises:
        Unauthenticated: a claim breaks a rule; `detail` begins with its name.
    """
    validity = check_validity(claims, max_age=issuer.max_token_age, now=now)  # 8
    subject = read_subject(claims)  # 8, 13
    audiences = check_audience(claims, issuer.audience)  # 9
    client = check_client(claims, issuer.allowed_clients)  # 9
    clients = frozenset(name for name in (client, issuer.client_id) if name is not None)
    check_kind(claims, header_type=header_type, audiences=audiences, clients=clients)  # 10
    certificate = required_certificate(claims)  # 10
    check_required(claims, issuer.required_claims)  # 11
    listed = read_groups(claims, groups)  # 14
    principal = Principal(
        issuer=issuer.issuer,
        subject=subject,
        username=read_username(claims, issuer.username_claim),  # 13
        groups=listed.groups,
        groups_complete=listed.complete,
        attributes=read_attributes(claims, issuer),  # 13
        client_id=client,
        authentication_methods=read_methods(claims),
        issued_at=datetime.fromtimestamp(validity.issued_at, UTC),
        expires_at=datetime.fromtimestamp(validity.expires_at, UTC),
    )
    return AccessToken(principal=principal, certificate=certificate)
