"""Finds the texts on which a decision rests, for the proof: grants and denials of the policy, and the request."""

from __future__ import annotations

from penstock_server.credentials.covered import Covered
from penstock_server.credentials.proof.grounds import (
    Grounds,
    Keys,
    asked_by,
    denied_by,
    files_of,
    granted_by,
    looked_up_at,
)
from penstock_server.credentials.proof.item_grounds import GrantedItems, ItemGrounds, asked_items, value_of
from penstock_server.credentials.proof.service_grounds import GrantedService, ServiceGrounds, asked_services
from penstock_server.credentials.requests import AwsCredentialRequest
from penstock_server.model.principal import Principal
from penstock_server.policy.bound import BoundPolicy, selectors_of


def grounds_of(policy: BoundPolicy, principal: Principal, request: AwsCredentialRequest, covered: Covered) -> Grounds:
    """Give what a decision on a request rests on: the grants that it names, all denials, and the request.

    A table that was asked for by its name counts as granted and asked at its location in the catalog; that RAW is
    granted on it is not looked at again.

    Raises:
        NotUnderstood: the text of a grant, denial or request cannot be read.
    """
    files = _files(policy, covered)
    used = set(covered.grants)
    granted = {
        grant.name: granted_by(grant.pattern.text, grant.permissions)
        for selector in selectors_of(principal)
        for grant in policy.s3_grants.get(selector, ())
        if grant.name in used
    }
    return Grounds(
        granted=(*granted.values(), *files),
        denied=tuple(
            denied_by(denial.pattern.text, denial.permissions)
            for denial in policy.s3_denials
            if denial.spared.holds_for(principal)
        ),
        asked=(
            *(asked_by(text, request.access) for text in request.resources if text.startswith("arn:aws:s3:")),
            *files,
        ),
        looked_up=tuple(looked_up_at(arn.location, exact=arn.exact) for arn in covered.requested),
    )


def item_grounds_of(
    policy: BoundPolicy, principal: Principal, request: AwsCredentialRequest, covered: Covered
) -> ItemGrounds:
    """Give what a decision on items of DynamoDB rests on.

    Raises:
        NotUnderstood: a leading key of a grant that the decision names has no value.
    """
    used = set(covered.grants)
    claims = _claims(policy, principal)
    granted = {
        grant.name: GrantedItems(
            resource=str(grant.target),
            permissions=grant.permissions,
            leading_keys=None
            if grant.leading_keys is None
            else frozenset(value_of(template.text, claims) for template in grant.leading_keys),
            attributes=None if grant.attributes is None else frozenset(grant.attributes),
        )
        for selector in selectors_of(principal)
        for grant in policy.dynamodb_grants.get(selector, ())
        if grant.name in used
    }
    return ItemGrounds(
        granted=tuple(granted.values()),
        denied=tuple(
            (str(denial.target), denial.permissions)
            for denial in policy.dynamodb_denials
            if denial.spared.holds_for(principal)
        ),
        asked=tuple(asked_items(text, request.access) for text in request.resources),
    )


def service_grounds_of(
    policy: BoundPolicy, principal: Principal, request: AwsCredentialRequest, covered: Covered
) -> ServiceGrounds:
    """Give what a decision on resources that are named whole rests on.

    Raises:
        NotUnderstood: a limit of a grant that the decision names has no value.
    """
    used = set(covered.grants)
    claims = _claims(policy, principal)
    granted = {
        grant.name: GrantedService(
            resource=str(grant.target),
            permissions=grant.permissions,
            limits=frozenset(
                (limit.name, frozenset(value_of(template.text, claims) for template in limit.values))
                for limit in grant.limits
            ),
        )
        for selector in selectors_of(principal)
        for grant in policy.service_grants.get(selector, ())
        if grant.name in used
    }
    return ServiceGrounds(
        granted=tuple(granted.values()),
        denied=tuple(
            (str(denial.target), denial.permissions)
            for denial in policy.service_denials
            if denial.spared.holds_for(principal)
        ),
        asked=tuple(asked_services(text, request.access) for text in request.resources),
    )


def _claims(policy: BoundPolicy, principal: Principal) -> dict[str, str]:
    """Give the caller's claims by the names of their variables; one that has several values is none."""
    claims = {"penstock:subject": principal.subject_digest().hex()}
    if principal.username and principal.issuer == policy.default_issuer:
        claims["penstock:username"] = principal.username
    for name, values in principal.attributes:
        variable = f"penstock:principaltag/{name.lower()}"
        claims[variable] = values[0] if len(values) == 1 and variable not in claims else ""
    return claims


def _files(policy: BoundPolicy, covered: Covered) -> tuple[Keys, ...]:
    locations = (policy.tables[name.key()].schema.location for name in covered.tables)
    return tuple(keys for location in locations if location is not None for keys in files_of(location))
