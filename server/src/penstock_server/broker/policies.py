"""The policy that decides now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from penstock_server.broker.recent_decisions import RecentDecisions
from penstock_server.errors import Reason, Unavailable
from penstock_server.model.decision import PolicyVersion, TableDecision, TableDescribed, TableOutcome
from penstock_server.model.explanation import ExplanationNode
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.evaluation import visible_tables
from penstock_server.policy.explanation.for_administrators import explain_for_administrator
from penstock_server.policy.explanation.for_callers import explain_outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyAtWork:
    """A bound policy as one question sees it: caught once, the same to the end."""

    bound: BoundPolicy
    decisions: RecentDecisions

    @property
    def version(self) -> PolicyVersion:
        """The version that stands on every decision."""
        return self.bound.version

    def resolve(
        self, principal: Principal, parts: tuple[str, ...], *, default_catalog: str | None, facts: RequestFacts
    ) -> TableOutcome:
        """Decide about a table as a caller names it. Raises QueryError: the name means several tables."""
        return self.decisions.resolve(principal, parts, default_catalog=default_catalog, facts=facts)

    def visible_tables(
        self, principal: Principal, *, facts: RequestFacts
    ) -> tuple[TableDecision | TableDescribed, ...]:
        """Decide about every table that exists for a principal, by full name."""
        return visible_tables(self.bound, principal, facts=facts)

    def explain(self, principal: Principal, decision: TableDecision, *, facts: RequestFacts) -> ExplanationNode:
        """Explain a decision of this policy to the principal of whom it is."""
        return explain_outcome(self.bound, principal, decision, facts=facts)

    def explain_for_administrator(
        self, principal: Principal, parts: tuple[str, ...], *, default_catalog: str | None, facts: RequestFacts
    ) -> ExplanationNode:
        """Explain to an administrator what somebody else sees of a table. Raises NotFound, QueryError."""
        return explain_for_administrator(self.bound, principal, parts, default_catalog=default_catalog, facts=facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _InForce:
    policy: PolicyAtWork
    bound_at: datetime


class Policies:
    """Holds the last policy that could be bound; the doors ask for it anew with every question."""

    def __init__(self) -> None:
        self._in_force: _InForce | None = None

    @property
    def loaded(self) -> bool:
        """Whether anything decides yet."""
        return self._in_force is not None

    def replace(self, policy: BoundPolicy, *, bound_at: datetime) -> None:
        """Let another policy decide; what is under way keeps the one it has."""
        at_work = PolicyAtWork(bound=policy, decisions=RecentDecisions(policy))
        self._in_force = _InForce(policy=at_work, bound_at=bound_at)

    def bound(self) -> BoundPolicy:
        """Give the policy. Raises Unavailable (`POLICY_NOT_LOADED`)."""
        return self._require().policy.bound

    def bound_at(self) -> datetime:
        """Tell when the policy was bound. Raises Unavailable (`POLICY_NOT_LOADED`)."""
        return self._require().bound_at

    def current(self) -> PolicyAtWork:
        """Give the policy for one question. Raises Unavailable (`POLICY_NOT_LOADED`)."""
        return self._require().policy

    def _require(self) -> _InForce:
        if self._in_force is None:
            raise not_loaded()
        return self._in_force


def not_loaded() -> Unavailable:
    """Give the error for what needs a policy while there is none."""
    return Unavailable(
        Reason.POLICY_NOT_LOADED,
        "no policy is bound yet",
        retry_after_seconds=1.0,
        hint="the server has just started; try again shortly",
    )
