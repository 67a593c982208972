"""How the door of AWS sessions would decide about one ARN of DynamoDB or another service that is granted whole.

The policy's layers come first; then whether what lies behind the resource is closed. What the configuration says of
roles, and AWS of the resource's own policy, is not looked at: only a request for a session tells.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from penstock_server.credentials.closed_services import require_open_services
from penstock_server.errors import AccessDenied, InvalidRequest
from penstock_server.model.dynamodb import parse_target
from penstock_server.model.explanation import ExplanationNode, Verdict
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.model.services import Service, ServiceTarget, parse_service_target, service_of
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.explanation.resources import ExplainedResource, Target, explain_resource
from penstock_server.policy.explanation.resources_for_administrators import unabridged_layers
from penstock_server.policy.explanation.unabridged_words import who_in_words
from penstock_server.policy.explanation.words import layer

MAX_ARN_CHARACTERS = 1_024
_DYNAMODB = "arn:aws:dynamodb:"
_REACHING = (Service.REDSHIFT_DATA, Service.ATHENA, Service.GLUE)
"""Services by which tables of the catalogs are reached."""


def read_target(field: str, text: str) -> Target | None:
    """Read what is asked about; None where it is no ARN, so that it may be the name of a table.

    Raises:
        InvalidRequest: it is an ARN of something that is not explained, or a malformed one.
    """
    if not text.startswith("arn:"):
        return None
    if len(text) > MAX_ARN_CHARACTERS:
        raise InvalidRequest(field, f"at most {MAX_ARN_CHARACTERS:,} characters")
    try:
        if text.startswith(_DYNAMODB):
            return parse_target(text)
        if service_of(text) is not None:
            return parse_service_target(text)
    except ValueError as error:
        raise InvalidRequest(field, f"must name one resource of AWS: this {error}") from error
    raise InvalidRequest(
        field,
        "must be a table, or an ARN of DynamoDB, Kinesis, KMS, a Redshift cluster, Athena or Glue",
        hint="what a session for objects of S3 would hold is told when it is asked for",
    )


def explain_target(
    policy: BoundPolicy, principal: Principal, target: Target, *, facts: RequestFacts
) -> ExplanationNode:
    """Explain to callers which of their grants on a resource apply, what a session would hold, and what closes it."""
    return _told("resource", policy, principal, target, replace(facts, carried=True))


def explain_target_for_administrator(
    policy: BoundPolicy, principal: Principal, target: Target, *, facts: RequestFacts
) -> ExplanationNode:
    """Explain a resource to administrators: first what somebody else is told, then what is kept from them."""
    carried = replace(facts, carried=True)
    told = _told("as they are told", policy, principal, target, carried)
    kept = (*unabridged_layers(policy, principal, target, facts=carried), _behind(policy, principal, target, carried))
    unabridged = layer("for administrators", Verdict.NOT_APPLICABLE, "what is kept from them, and why", kept)
    return layer("resource", told.verdict, f"`{target}` before {who_in_words(principal)}", (told, unabridged))


def _told(name: str, policy: BoundPolicy, principal: Principal, target: Target, facts: RequestFacts) -> ExplanationNode:
    explained = explain_resource(policy, principal, target, facts=facts)
    closed = _closed(policy, principal, target, explained, facts)
    layers = (*explained.layers, closed)
    if not explained.given or closed.verdict is Verdict.REFUSED:
        return layer(name, Verdict.REFUSED, f"you may have no session for `{target}`", layers)
    verdict = Verdict.NARROWED if explained.narrowed else Verdict.ALLOWED
    return layer(name, verdict, f"you may have a session for `{target}`: {', '.join(explained.given)}", layers)


def _closed(
    policy: BoundPolicy, principal: Principal, target: Target, explained: ExplainedResource, facts: RequestFacts
) -> ExplanationNode:
    if not _reaches_tables(target):
        return layer("closed locations", Verdict.NOT_APPLICABLE, "no table is read by way of it")
    # SECURITY: as at the door, nothing of what lies behind it is looked at for those whose grants give nothing here.
    if not explained.given:
        return layer("closed locations", Verdict.NOT_APPLICABLE, "not looked at where your grants give nothing")
    try:
        ends = _require_open(policy, principal, target, facts)
    except AccessDenied as error:
        remedy = layer("remedy", Verdict.NARROWED, error.hint)
        return layer("closed locations", Verdict.REFUSED, error.message, (remedy,))
    until = f", until {min(ends).isoformat()} at least" if ends else ""
    return layer("closed locations", Verdict.ALLOWED, f"all that is behind `{target}` is yours to see{until}")


def _behind(policy: BoundPolicy, principal: Principal, target: Target, facts: RequestFacts) -> ExplanationNode:
    """Say what closes it, whether or not any grant is there."""
    try:
        _require_open(policy, principal, target, facts)
    except AccessDenied as error:
        return layer("closed locations", Verdict.REFUSED, error.detail)
    return layer("closed locations", Verdict.NOT_APPLICABLE, "nothing that lies behind it closes it to them")


def _require_open(
    policy: BoundPolicy, principal: Principal, target: Target, facts: RequestFacts
) -> tuple[datetime, ...]:
    targets = (target,) if isinstance(target, ServiceTarget) else ()
    return require_open_services(targets, policy=policy, principal=principal, facts=facts)


def _reaches_tables(target: Target) -> bool:
    return isinstance(target, ServiceTarget) and target.service in _REACHING
