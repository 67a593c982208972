"""What is kept from somebody else of a resource that is granted by its whole name. For administrators alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from penstock_server.model.dynamodb import DynamoDbTarget
from penstock_server.model.explanation import ExplanationNode, Verdict
from penstock_server.model.principal import Group, Principal, PrincipalSelector, selects
from penstock_server.model.request import RequestFacts
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.explanation.for_administrators import MAX_GRANTS
from penstock_server.policy.explanation.resources import (
    Grant,
    Target,
    denials_on,
    limits_in_words,
    permissions_in_words,
    templates_of,
)
from penstock_server.policy.explanation.unabridged_words import condition_against, principals_in_words
from penstock_server.policy.explanation.words import layer
from penstock_server.policy.situation import Situation


def unabridged_layers(
    policy: BoundPolicy, principal: Principal, target: Target, *, facts: RequestFacts
) -> tuple[ExplanationNode, ...]:
    """Give the layers of grants, as the policy writes them, and of denials, with whom each names."""
    situation = Situation.of(policy, principal, facts, carried=True)
    own: list[ExplanationNode] = []
    others: list[ExplanationNode] = []
    for grant in _on(policy, target):
        if any(selects(selector, principal) for selector in grant.principals):
            own.append(_naming(policy, principal, grant, situation))
        else:
            others.append(_not_naming(policy, principal, grant))
    return (_grants(own, others), _denials(policy, principal, target))


def _on(policy: BoundPolicy, target: Target) -> tuple[Grant, ...]:
    index: Mapping[PrincipalSelector, Iterable[Grant]]
    index = policy.dynamodb_grants if isinstance(target, DynamoDbTarget) else policy.service_grants
    found = {grant.name: grant for grants in index.values() for grant in grants if grant.target == target}
    return tuple(found[name] for name in sorted(found))


def _grants(own: list[ExplanationNode], others: list[ExplanationNode]) -> ExplanationNode:
    if not own and not others:
        return layer("grants", Verdict.REFUSED, "no grant is on it")
    verdict = Verdict.ALLOWED if own else Verdict.REFUSED
    more = f"; {len(others) - MAX_GRANTS} more name others" if len(others) > MAX_GRANTS else ""
    words = f"{len(own)} of the grants on it name them, {len(others)} do not{more}"
    return layer("grants", verdict, words, (*own, *others[:MAX_GRANTS]))


def _naming(policy: BoundPolicy, principal: Principal, grant: Grant, situation: Situation) -> ExplanationNode:
    by = [selector for selector in grant.principals if selects(selector, principal)]
    named = principals_in_words(policy.default_issuer, by)
    words = f"`{grant.name}` names them as {named} and states {permissions_in_words(grant)}"
    held = grant.conditions.conditions if grant.conditions is not None else ()
    failing = situation.failing(grant)
    conditions = tuple(
        layer(
            "condition",
            Verdict.REFUSED if condition in failing else Verdict.ALLOWED,
            condition_against(condition, situation),
        )
        for condition in held
    )
    verdict = Verdict.ALLOWED if situation.holds(grant) else Verdict.REFUSED
    return layer("grant", verdict, words, (*limits_in_words(templates_of(grant)), *conditions))


def _not_naming(policy: BoundPolicy, principal: Principal, grant: Grant) -> ExplanationNode:
    missing = "they are none of these, and in none of these groups"
    if not principal.groups_complete and any(isinstance(selector, Group) for selector in grant.principals):
        missing += " as far as their token tells"
    named = principals_in_words(policy.default_issuer, grant.principals)
    return layer("grant", Verdict.NOT_APPLICABLE, f"`{grant.name}` names {named}: {missing}")


def _denials(policy: BoundPolicy, principal: Principal, target: Target) -> ExplanationNode:
    told: list[ExplanationNode] = []
    for denial, taken in denials_on(policy, target):
        reached = denial.spared.holds_for(principal)
        spared = principals_in_words(policy.default_issuer, denial.spared.selectors) or "nobody"
        are = "are not" if reached else "are"
        words = f"{', '.join(sorted(taken))} is denied to all but {spared}: they {are} spared"
        told.append(layer("denial", Verdict.REFUSED if reached else Verdict.ALLOWED, words))
    if not told:
        return layer("denials", Verdict.NOT_APPLICABLE, "no denial is on it")
    reaching = any(each.verdict is Verdict.REFUSED for each in told)
    return layer(
        "denials", Verdict.REFUSED if reaching else Verdict.ALLOWED, "denials hold whatever the grants say", told
    )
