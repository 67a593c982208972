"""What the doors for AWS and Redshift have in common: who gets a credential, when, and for how long.

A credential is issued at one instant and used at a later one, some time after. A grant bounds all three, each by
itself, so each is a variable of its own: more combinations than there are, and "no model" stays a proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Final, Protocol

from penstock_server.model.principal import PrincipalSelector
from penstock_server.policy.proof.budget import Budget, Work
from penstock_server.policy.proof.callers import Callers, Somebody
from penstock_server.policy.proof.circumstances import Circumstances
from penstock_server.policy.proof.formulas import Formulas, Node
from penstock_server.policy.proof.inputs import AnyCondition
from penstock_server.policy.proof.lifetimes import Lifetimes
from penstock_server.policy.proof.moments import Moments
from penstock_server.policy.proof.search import Model


class DoorGrant(Protocol):
    """What a grant of a credential has."""

    @property
    def selectors(self) -> frozenset[PrincipalSelector]:
        """All principals that it names."""

    @property
    def max_ttl(self) -> timedelta | None:
        """How long a credential may last; None = as long as AWS allows."""

    @property
    def expires(self) -> datetime | None:
        """When the grant ends."""

    @property
    def conditions(self) -> frozenset[AnyCondition]:
        """What must hold besides."""


class DoorVariables:
    """Variables and terms that grants of credentials share."""

    def __init__(
        self,
        grants: Sequence[DoorGrant],
        spared: Iterable[frozenset[PrincipalSelector]],
        *,
        default_issuer: str,
        since: datetime,
        budget: Budget,
        only: Somebody | None,
    ) -> None:
        self.formulas = Formulas(Work(budget))
        named = chain((grant.selectors for grant in grants), spared)
        selectors = [selector for selectors in named for selector in selectors]
        self.callers = Callers(self.formulas, selectors, default_issuer=default_issuer, only=only)
        ends = [grant.expires for grant in grants]
        self.issued = Moments(self.formulas, since, ends)
        self._used = Moments(self.formulas, since, ends)
        self.circumstances = Circumstances(self.formulas, (one for grant in grants for one in grant.conditions))
        self._lifetimes = Lifetimes(self.formulas, (grant.max_ttl for grant in grants))

    def issuing(self, grant: DoorGrant) -> Node:
        """Give who may have a credential by this grant, and when."""
        return self.formulas.conjunction(
            (
                self.callers.selected_by_any(grant.selectors),
                self.issued.before(grant.expires),
                # A credential works from any address.
                self.circumstances.holding(grant.conditions, carried=True),
            )
        )

    def lasting(self, grant: DoorGrant) -> Node:
        """Give who may have a credential by this grant that is still good when it is used."""
        return self.formulas.conjunction(
            (
                self.issuing(grant),
                self._used.before(grant.expires),
                self._lifetimes.within(grant.max_ttl),
                self.circumstances.lasting(grant.conditions),
            )
        )

    def consistent(self) -> Node:
        """Give what holds of conditions and of instants, whatever the grants are."""
        return self.formulas.conjunction((self.circumstances.consistent(), self._in_order()))

    def _in_order(self) -> Node:
        """Give "it is used so long after it was issued", as far as ends and bounds of grants tell."""
        formulas = self.formulas
        spans = self.issued.spans
        clauses: list[Node] = []
        for issued, (first, end) in enumerate(spans[:_MOST_SPANS]):
            for used, (earliest, latest) in enumerate(spans[:_MOST_SPANS]):
                held = [formulas.negation(self.issued.within([issued])), formulas.negation(self._used.within([used]))]
                if used >= issued:
                    shortest = max(earliest - end, timedelta(0)) if end is not None else timedelta(0)
                    longest = latest - first if latest is not None else None
                    held.append(self._lifetimes.between(shortest, longest))
                clauses.append(formulas.disjunction(held))
        return formulas.conjunction(clauses)

    def instants(self, model: Model) -> tuple[datetime, ...]:
        """Give instants of a model at which a credential may be issued: where bounds and ends meet, it matters when."""
        first, end = self.issued.span(model)
        if end is None:
            return (first,)
        before_end = [end - bound / 2 for bound in self._lifetimes.bounds] + [end - timedelta(seconds=1)]
        return (first, *(instant for instant in before_end if instant > first))

    def bounded(self, wanted: Node, brought: Sequence[tuple[Node, Node]]) -> Node:
        """Give a credential that lasts as wanted, bounded by what is brought along.

        Each pair tells where something is brought along, and where it lasts. A caller cannot leave it out, so where
        it is brought it must last too.
        """
        formulas = self.formulas
        return formulas.conjunction(
            (wanted, *(formulas.disjunction((formulas.negation(there), lasts)) for there, lasts in brought))
        )


_MOST_SPANS: Final = 24
"""Most ends of grants whose order with bounds is told to the search."""
_FOR_EVER: Final = datetime.max.replace(tzinfo=UTC)


def until(at: datetime, max_ttl: timedelta | None, expires: datetime | None) -> datetime:
    """Give when a credential that is issued now ends by the policy; the far end of time where nothing bounds it."""
    ends = [_FOR_EVER]
    if max_ttl is not None and max_ttl < _FOR_EVER - at:
        ends.append(at + max_ttl)
    if expires is not None:
        ends.append(expires)
    return min(ends)


def in_words(at: datetime, end: datetime) -> str:
    """Say how long a credential lasts that is issued now."""
    if end == _FOR_EVER:
        return "no bound by the policy"
    minutes = int((end - at) / timedelta(minutes=1))
    return f"at most {minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"at most {minutes} min"
