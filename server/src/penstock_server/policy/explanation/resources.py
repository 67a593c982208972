"""How decisions about a resource that is granted by its whole name came about, for the caller themselves.

That is a table or an index of DynamoDB, or a resource of another AWS service. What is told hangs on the caller's own
grants on exactly that resource, and on denials of what these would give: who has none reads the same of every ARN.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from penstock_server.config.quantities import print_duration
from penstock_server.model.decision import Access, Denied
from penstock_server.model.dynamodb import DynamoDbDecision, DynamoDbPermission, DynamoDbTarget
from penstock_server.model.explanation import ExplanationNode, Verdict
from penstock_server.model.principal import Principal, selects
from penstock_server.model.request import RequestFacts
from penstock_server.model.services import PERMISSIONS, Service, ServiceDecision, ServicePermission, ServiceTarget
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.credential_grants import naming_grants
from penstock_server.policy.explanation.words import (
    condition_in_words,
    identity_layer,
    layer,
    names,
    selector_in_words,
)
from penstock_server.policy.items.decision import NEEDED, ItemsRequest, decide_items, given_items
from penstock_server.policy.items.templates import KeyTemplate
from penstock_server.policy.services.decision import ServiceRequest, decide_services, given_services
from penstock_server.policy.services.reading import CONTEXT, DATABASE, DATABASE_USER, VIA
from penstock_server.policy.situation import Situation
from penstock_server.policy.source import DynamoDbDenial, DynamoDbGrant, ServiceDenial, ServiceGrant

Target = DynamoDbTarget | ServiceTarget
Grant = DynamoDbGrant | ServiceGrant
Permission = DynamoDbPermission | ServicePermission
Limits = tuple[tuple[str, tuple[str, ...]], ...]
"""What a grant is limited to: in words, and the values for the caller; where there is none, all is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedResource:
    """The layers that a policy decides, and which permissions it gives, whole or within limits."""

    layers: tuple[ExplanationNode, ...]
    given: tuple[str, ...]
    narrowed: bool


def explain_resource(
    policy: BoundPolicy, principal: Principal, target: Target, *, facts: RequestFacts
) -> ExplainedResource:
    """Explain to a caller what their grants on a resource give."""
    situation = Situation.of(policy, principal, facts, carried=True)
    named = grants_naming(policy, principal, target)
    applying = _limits_by_grant(policy, principal, target, situation)
    grants = tuple(_grant(grant, principal, situation, applying.get(grant.name)) for grant in named)
    taken = _taken(policy, principal, target, [grant for grant in named if grant.name in applying])
    # SECURITY: without a grant of their own nothing is decided, so that nothing of others or of denials shows.
    decided = [_decided(policy, principal, target, access, facts) for access in _accesses(target)] if named else []
    allowed = tuple(word for word, node in decided if node.verdict is not Verdict.REFUSED)
    return ExplainedResource(
        layers=(
            identity_layer(principal),
            _grants_layer(target, grants),
            _denials_layer(taken),
            _session_layer(tuple(node for _, node in decided), allowed),
        ),
        given=allowed,
        narrowed=any(node.verdict is not Verdict.ALLOWED for _, node in decided),
    )


def grants_naming(policy: BoundPolicy, principal: Principal, target: Target) -> tuple[Grant, ...]:
    """Give the grants on exactly a resource that name a principal, by name, whether or not they hold."""
    found: tuple[Grant, ...]
    if isinstance(target, DynamoDbTarget):
        found = naming_grants(policy.dynamodb_grants, principal)
    else:
        found = naming_grants(policy.service_grants, principal)
    return tuple(grant for grant in found if grant.target == target)


def denials_on(policy: BoundPolicy, target: Target) -> tuple[tuple[DynamoDbDenial | ServiceDenial, set[str]], ...]:
    """Give each denial that takes something on a resource, with what it takes."""
    taking: list[tuple[DynamoDbDenial | ServiceDenial, set[str]]] = []
    if isinstance(target, DynamoDbTarget):
        taking += [(denial, {each.value for each in denial.takes(target)}) for denial in policy.dynamodb_denials]
    else:
        taking += [(denial, {each.value for each in denial.takes(target)}) for denial in policy.service_denials]
    return tuple((denial, taken) for denial, taken in taking if taken)


def _limits_by_grant(
    policy: BoundPolicy, principal: Principal, target: Target, situation: Situation
) -> Mapping[str, Limits]:
    """Give the limits, with the principal's own values, of each grant of the target's kind that applies to them."""
    if isinstance(target, DynamoDbTarget):
        return {
            given.grant.name: _limits_of_items(given.leading_keys, given.grant.attributes)
            for given in given_items(policy, principal, situation)
        }
    return {
        given.grant.name: tuple((_limit_in_words(limit.name), limit.values) for limit in given.limits)
        for given in given_services(policy, principal, situation)
    }


def templates_of(grant: Grant) -> Limits:
    """Give the limits of a grant as the policy writes them."""
    if isinstance(grant, DynamoDbGrant):
        keys = None if grant.leading_keys is None else [template.text for template in grant.leading_keys]
        return _limits_of_items(keys, grant.attributes)
    return tuple(
        (_limit_in_words(limit.name), tuple(template.text for template in limit.values)) for limit in grant.limits
    )


def limits_in_words(limits: Limits) -> tuple[ExplanationNode, ...]:
    """Write each limit as a part of its grant."""
    return tuple(layer("limit", Verdict.NARROWED, f"{name} {names(values)} alone") for name, values in limits)


def permissions_in_words(grant: Grant) -> str:
    """Write what a grant gives, how long a session by it lives at most, and its end."""
    given = ", ".join(sorted(permission.value for permission in grant.permissions))
    most = f", for at most {print_duration(grant.max_ttl)}" if grant.max_ttl is not None else ""
    ends = f", until {grant.expires.isoformat()}" if grant.expires is not None else ""
    return f"{given}{most}{ends}"


def _limits_of_items(keys: Iterable[str] | None, attributes: tuple[str, ...] | None) -> Limits:
    told: list[tuple[str, tuple[str, ...]]] = []
    if keys is not None:
        told.append(("items with the leading keys", tuple(sorted(keys))))
    if attributes is not None:
        told.append(("the attributes", attributes))
    return tuple(told)


def _limit_in_words(name: str) -> str:
    if name.startswith(CONTEXT):
        return f"the encryption context `{name.removeprefix(CONTEXT)}` of"
    words = {VIA: "by way of", DATABASE: "statements in the database", DATABASE_USER: "statements as the database user"}
    return words[name]


def _grant(grant: Grant, principal: Principal, situation: Situation, limits: Limits | None) -> ExplanationNode:
    by = [selector for selector in grant.principals if selects(selector, principal)]
    head = f"`{grant.name}` names {' and '.join(sorted(selector_in_words(selector) for selector in by))}"
    if situation.ended(grant):
        ended = grant.expires.isoformat() if grant.expires is not None else ""
        return layer("grant", Verdict.NOT_APPLICABLE, f"{head}, but ended at {ended}; ask for it to be renewed")
    failing = situation.failing(grant)
    if failing:
        told = tuple(layer("condition", Verdict.REFUSED, condition_in_words(one, situation)) for one in failing)
        return layer("grant", Verdict.NOT_APPLICABLE, f"{head}, but not all of its conditions are true", told)
    if situation.bound_to_address(grant):
        words = f"{head}, but holds for certain addresses only, and a session works from any"
        return layer("grant", Verdict.NOT_APPLICABLE, words)
    if limits is None:
        asked = names(template.text for template in _templates(grant) if template.key is not None)
        words = f"{head}, but a value of yours for {asked} is missing, not the only one, or cannot stand there"
        return layer("grant", Verdict.NOT_APPLICABLE, words)
    held = grant.conditions.conditions if grant.conditions is not None else ()
    conditions = tuple(layer("condition", Verdict.ALLOWED, f"{one} is true") for one in held)
    verdict = Verdict.NARROWED if limits else Verdict.ALLOWED
    words = f"{head} and gives {permissions_in_words(grant)}"
    return layer("grant", verdict, words, (*limits_in_words(limits), *conditions))


def _templates(grant: Grant) -> tuple[KeyTemplate, ...]:
    if isinstance(grant, DynamoDbGrant):
        return grant.leading_keys or ()
    return tuple(template for limit in grant.limits for template in limit.values)


def _grants_layer(target: Target, grants: tuple[ExplanationNode, ...]) -> ExplanationNode:
    if not grants:
        return layer("grants", Verdict.REFUSED, f"no grant on `{target}` names you")
    if all(grant.verdict is Verdict.NOT_APPLICABLE for grant in grants):
        return layer("grants", Verdict.REFUSED, f"none of your grants on `{target}` applies now", grants)
    return layer("grants", Verdict.ALLOWED, f"your grants on `{target}`", grants)


def _taken(policy: BoundPolicy, principal: Principal, target: Target, holding: Iterable[Grant]) -> list[str]:
    """Give what denials take of what the caller's own grants would give."""
    offered = {permission.value for grant in holding for permission in grant.permissions}
    reaching = [taken for denial, taken in denials_on(policy, target) if denial.spared.holds_for(principal)]
    return sorted(offered & set[str]().union(*reaching))


def _denials_layer(taken: list[str]) -> ExplanationNode:
    if not taken:
        return layer("denials", Verdict.NOT_APPLICABLE, "no denial takes what your grants give here")
    words = f"a denial that does not spare you takes {', '.join(taken)}, whatever your grants say"
    return layer("denials", Verdict.REFUSED, words)


def _accesses(target: Target) -> tuple[Access, ...]:
    if isinstance(target, DynamoDbTarget):
        return (Access.READ,) if target.index is not None else (Access.READ, Access.WRITE)
    known = PERMISSIONS[target.service]
    consumer = target.service is Service.KINESIS and "/consumer/" in target.name
    return tuple(access for access in known if not (consumer and access is Access.WRITE))


def _decided(
    policy: BoundPolicy, principal: Principal, target: Target, access: Access, facts: RequestFacts
) -> tuple[str, ExplanationNode]:
    """Give one permission, and what a request for it alone would be answered."""
    outcome: DynamoDbDecision | ServiceDecision | Denied
    asked = frozenset({access})
    if isinstance(target, DynamoDbTarget):
        word = NEEDED[access].value
        outcome = decide_items(policy, principal, (ItemsRequest(target=target, access=asked),), facts=facts)
    else:
        word = PERMISSIONS[target.service][access].value
        outcome = decide_services(policy, principal, (ServiceRequest(target=target, access=asked),), facts=facts)
    if isinstance(outcome, Denied):
        return word, layer("permission", Verdict.REFUSED, f"{word}: {outcome.reason}")
    limits = _limits_of(outcome)
    most = f", for at most {print_duration(outcome.max_ttl)}" if outcome.max_ttl is not None else ""
    ends = f", until {outcome.expires_at.isoformat()}" if outcome.expires_at is not None else ""
    verdict = Verdict.NARROWED if limits else Verdict.ALLOWED
    words = f"{word}: by {names(outcome.grants)}{most}{ends}"
    return word, layer("permission", verdict, words, limits_in_words(limits))


def _limits_of(outcome: DynamoDbDecision | ServiceDecision) -> Limits:
    if isinstance(outcome, DynamoDbDecision):
        return tuple(limit for one in outcome.scopes for limit in _limits_of_items(one.leading_keys, one.attributes))
    return tuple((_limit_in_words(limit.name), limit.values) for scope in outcome.scopes for limit in scope.limits)


def _session_layer(decided: tuple[ExplanationNode, ...], allowed: tuple[str, ...]) -> ExplanationNode:
    if allowed:
        narrowed = any(node.verdict is not Verdict.ALLOWED for node in decided)
        verdict = Verdict.NARROWED if narrowed else Verdict.ALLOWED
        return layer("session", verdict, "what a session would hold", decided)
    remedy = layer("remedy", Verdict.NARROWED, "ask the owner of the data for a grant on exactly this resource")
    return layer("session", Verdict.REFUSED, "your grants give no session for this", (*decided, remedy))
