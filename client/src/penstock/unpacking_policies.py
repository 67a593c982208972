"""From messages of PolicyService to the values that callers get."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

from penstock.errors import PenstockError
from penstock.policies import (
    Facts,
    PolicyChange,
    PolicyClass,
    PolicyInference,
    PolicyInForce,
    PolicyPlan,
    PolicyProblem,
    PolicyReload,
    PolicySubject,
    PolicyValidation,
    PolicyVerdict,
    PolicyWitness,
)
from penstock.v1 import policy_service_pb2 as messages

_VERDICTS = {
    messages.POLICY_VERDICT_SAME: PolicyVerdict.SAME,
    messages.POLICY_VERDICT_NARROWING: PolicyVerdict.NARROWING,
    messages.POLICY_VERDICT_WIDENING: PolicyVerdict.WIDENING,
    messages.POLICY_VERDICT_UNDECIDED: PolicyVerdict.UNDECIDED,
}


def in_force(answer: messages.GetPolicyVersionResponse) -> PolicyInForce:
    """Give the version that decides."""
    return PolicyInForce(
        policy_version=answer.policy_version,
        bound_at=answer.bind_time.ToDatetime(UTC),
        reload_failed=answer.reload_failed,
        reload_problems=_problems(answer.reload_problems),
    )


def validation(answer: messages.ValidatePolicyResponse) -> PolicyValidation:
    """Give what is wrong with a policy."""
    return PolicyValidation(
        problems=_problems(answer.problems),
        warnings=_problems(answer.warnings),
        policy_version=answer.policy_version,
    )


def plan(answer: messages.PlanPolicyResponse) -> PolicyPlan:
    """Give what a change would do."""
    return PolicyPlan(
        old_policy_version=answer.old_policy_version,
        new_policy_version=answer.new_policy_version,
        verdict=_verdict(answer.verdict),
        since=answer.since_time.ToDatetime(UTC),
        subjects=tuple(_subject(each) for each in answer.subjects),
        unchanged=answer.unchanged_count,
        left_out=answer.left_out_count,
        text=answer.text,
    )


def reload(answer: messages.ReloadPolicyResponse) -> PolicyReload:
    """Give how a reload ended."""
    return PolicyReload(loaded=answer.loaded, policy_version=answer.policy_version, problems=_problems(answer.problems))


def _verdict(verdict: messages.PolicyVerdict.ValueType) -> PolicyVerdict:
    found = _VERDICTS.get(verdict)
    if found is None:
        # A verdict that this client does not know must not pass for one that is safe.
        raise PenstockError("the server gave a verdict that this client does not know", reason="UNKNOWN_ANSWER")
    return found


def _problems(problems: Iterable[messages.PolicyProblem]) -> tuple[PolicyProblem, ...]:
    return tuple(PolicyProblem(path=each.path, line=each.line, description=each.description) for each in problems)


def _subject(subject: messages.PolicySubject) -> PolicySubject:
    return PolicySubject(
        kind=subject.kind,
        name=subject.name,
        verdict=_verdict(subject.verdict),
        classes=tuple(_class(each) for each in subject.classes),
        inferences=tuple(_inference(each) for each in subject.inferences),
    )


def _class(one: messages.PolicyClass) -> PolicyClass:
    return PolicyClass(
        principals=one.principals,
        verdict=_verdict(one.verdict),
        gains=tuple(_change(each) for each in one.gains),
        losses=tuple(_change(each) for each in one.losses),
        open_questions=tuple(one.open_questions),
    )


def _change(change: messages.PolicyChange) -> PolicyChange:
    witness = change.witness
    return PolicyChange(
        sentence=change.sentence,
        kind=change.kind,
        things=tuple(change.things),
        before=change.before,
        after=change.after,
        witness=PolicyWitness(
            issuer=witness.issuer,
            username=witness.username,
            groups=tuple(witness.groups),
            attributes=_facts(witness.attributes),
            circumstances=_facts(witness.circumstances),
            row=_facts(witness.row),
            since=witness.from_time.ToDatetime(UTC),
        ),
    )


def _inference(inference: messages.PolicyInference) -> PolicyInference:
    return PolicyInference(
        sentence=inference.sentence,
        column=inference.column,
        betrayed_by=inference.betrayed_by,
        shown=_facts(inference.shown),
        hidden=_facts(inference.hidden),
    )


def _facts(facts: Iterable[messages.PolicyFact]) -> Facts:
    return tuple((each.name, tuple(each.values)) for each in facts)
