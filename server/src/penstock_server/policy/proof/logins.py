"""Compares the grants of one Redshift login: who newly gets it, with which database groups, and for how long.

Source: `policy.resources.decide_redshift`: a login brings all database groups that the caller's grants name, and lasts
no longer than the longest grant of each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product

from penstock_server.model.decision import RedshiftDecision
from penstock_server.model.principal import PrincipalSelector
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.proof.answers import NOTHING_FOUND, Answer, Asked, found, unconfirmed, verdict_of
from penstock_server.policy.proof.budget import Budget, OutOfBudget
from penstock_server.policy.proof.callers import Somebody
from penstock_server.policy.proof.confirmation import Witness, facts_of, principal_of
from penstock_server.policy.proof.door_formulas import DoorVariables, in_words, until
from penstock_server.policy.proof.findings import Example, Finding, FindingKind, Undecided, Verdict
from penstock_server.policy.proof.formulas import FALSE, Node
from penstock_server.policy.proof.inputs import LoginGrantInput
from penstock_server.policy.proof.lowering import Lowering
from penstock_server.policy.proof.models import Models
from penstock_server.policy.proof.realization import Realizer
from penstock_server.policy.resources import decide_redshift


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRules:
    """What one version says of one login; `spared` are for each denial those whom it spares."""

    grants: tuple[LoginGrantInput, ...]
    spared: frozenset[frozenset[PrincipalSelector]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginPair:
    """Both versions of the grants and denials of one login, and the policies that the serving evaluator asks."""

    login: str
    old: LoginRules
    new: LoginRules
    old_policy: BoundPolicy
    new_policy: BoundPolicy


def compare_login(pair: LoginPair, *, since: datetime, budget: Budget, only: Somebody | None) -> Verdict:
    """Give the verdict for one login, for all principals from an instant (aware) on; with `only` for those alone."""
    try:
        login = _Login(pair, since, budget, only)
    except OutOfBudget as error:
        return Undecided(reasons=(str(error),))
    gains = login.gains()
    undecided = gains.open_questions and not gains.findings
    return verdict_of(gains, NOTHING_FOUND if undecided else login.losses())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """Where one version gives the login, each of its database groups, and a login that lasts when it is used."""

    login: Node
    groups: Mapping[str, Node]
    lasting: Node


class _Login:
    def __init__(self, pair: LoginPair, since: datetime, budget: Budget, only: Somebody | None) -> None:
        self._pair = pair
        self._variables = DoorVariables(
            (*pair.old.grants, *pair.new.grants),
            pair.old.spared | pair.new.spared,
            default_issuer=pair.new_policy.default_issuer,
            since=since,
            budget=budget,
            only=only,
        )
        self._formulas = self._variables.formulas
        variables = self._variables
        lowering = Lowering(self._formulas, variables.callers, {}, ())
        self._models = Models(self._formulas, lowering)
        self._realizer = Realizer(variables.callers, variables.issued, variables.circumstances, lowering)
        self._old = self._given(pair.old)
        self._new = self._given(pair.new)

    def gains(self) -> Answer:
        """Ask what the new version gives more."""
        asked = Asked()
        try:
            for answer in self._answers(self._old, self._new, self._pair.old_policy, self._pair.new_policy):
                asked.add(answer)
        except OutOfBudget as error:
            asked.give_up(error)
        return asked.answer()

    def losses(self) -> Answer:
        """Ask what the old version gives more."""
        asked = Asked()
        try:
            for answer in self._answers(self._new, self._old, self._pair.new_policy, self._pair.old_policy):
                asked.add(answer)
        except OutOfBudget as error:
            asked.give_up(error)
        return asked.turned()

    def _given(self, rules: LoginRules) -> _Given:
        formulas, grants = self._formulas, rules.grants
        undenied = formulas.conjunction([self._variables.callers.selected_by_any(spared) for spared in rules.spared])
        issuing = {grant.name: formulas.conjunction((self._variables.issuing(grant), undenied)) for grant in grants}
        lasting = {grant.name: formulas.conjunction((self._variables.lasting(grant), undenied)) for grant in grants}
        names = sorted({group for grant in grants for group in grant.database_groups})
        of_group = {name: [grant.name for grant in grants if name in grant.database_groups] for name in names}
        groups = {name: formulas.disjunction([issuing[one] for one in of_group[name]]) for name in names}
        brought = [(groups[name], formulas.disjunction([lasting[one] for one in of_group[name]])) for name in names]
        return _Given(
            login=formulas.disjunction(issuing.values()),
            groups=groups,
            lasting=self._variables.bounded(formulas.disjunction(lasting.values()), brought),
        )

    def _answers(
        self, less: _Given, more: _Given, less_policy: BoundPolicy, more_policy: BoundPolicy
    ) -> Iterator[Answer]:
        formulas = self._formulas
        consistent = self._variables.consistent()

        def answered(kind: FindingKind, group: str | None, nodes: Sequence[Node]) -> Answer:
            asked = [formulas.conjunction((node, consistent)) for node in nodes]
            return self._asked(_Question(kind, group, self._pair.login), asked, less_policy, more_policy)

        yield answered(FindingKind.LOGIN, None, formulas.differences(more.login, less.login))
        for group, node in more.groups.items():
            nodes = formulas.differences(node, less.groups.get(group, FALSE))
            yield answered(FindingKind.DATABASE_GROUP, group, nodes)
        longer = [formulas.conjunction((node, less.login)) for node in formulas.differences(more.lasting, less.lasting)]
        yield answered(FindingKind.LIFETIME, None, longer)

    def _asked(self, question: _Question, nodes: Sequence[Node], less: BoundPolicy, more: BoundPolicy) -> Answer:
        has_model = False
        for node in nodes:
            model = self._models.find(node)
            if model is None:
                continue
            for witness, at in product(self._realizer.witnesses(model), self._variables.instants(model.model)):
                finding = question.confirmed(replace(witness, at=max(at, witness.at)), less, more)
                if finding is not None:
                    return found(finding)
            has_model = True
        return unconfirmed(question.kind.value) if has_model else NOTHING_FOUND


class _Question:
    """What is asked of a login, and how the serving evaluator confirms it."""

    def __init__(self, kind: FindingKind, group: str | None, login: str) -> None:
        self.kind = kind
        self._group = group
        self._login = login

    def confirmed(self, witness: Witness, less: BoundPolicy, more: BoundPolicy) -> Finding | None:
        """Give the finding if the serving evaluator bears the witness out."""
        mine, others = self._decision(witness, more), self._decision(witness, less)
        if mine is None:
            return None
        words = self._words(witness, mine, others)
        if words is None:
            return None
        return Finding(
            kind=self.kind,
            things=() if self._group is None else (self._group,),
            before=words[0],
            after=words[1],
            example=Example(who=witness.who, at=witness.at, given=witness.given, row=()),
        )

    def _words(
        self, witness: Witness, mine: RedshiftDecision, others: RedshiftDecision | None
    ) -> tuple[str, str] | None:
        if self.kind is FindingKind.LOGIN:
            return ("nothing", "the login") if others is None else None
        if self._group is not None:
            had = others is not None and self._group in others.database_groups
            return ("not the group", "the group") if self._group in mine.database_groups and not had else None
        if others is None:
            return None
        before = until(witness.at, others.max_ttl, others.expires_at)
        after = until(witness.at, mine.max_ttl, mine.expires_at)
        return (in_words(witness.at, before), in_words(witness.at, after)) if before < after else None

    def _decision(self, witness: Witness, policy: BoundPolicy) -> RedshiftDecision | None:
        who = principal_of(witness)
        outcome = decide_redshift(policy, who, self._login, facts=facts_of(witness))
        return outcome if isinstance(outcome, RedshiftDecision) else None
