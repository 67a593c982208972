"""What grants are held against: the caller, and what is known of the request, at one instant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from penstock_server.model.posture import Posture
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.conditions.block import Block, Condition, NullCondition
from penstock_server.policy.conditions.horizon import changes, reads_address
from penstock_server.policy.conditions.keys import Key, values_of
from penstock_server.policy.conditions.posture import posture_turns, posture_values


class Conditional(Protocol):
    """A grant that holds for a while, or under conditions."""

    @property
    def expires(self) -> datetime | None:
        """Its end; at that instant it does not hold any more."""
        ...

    @property
    def conditions(self) -> Block | None:
        """What must be true besides; None = nothing."""
        ...


class Situation:
    """One request. `carried` = what is decided leaves in a credential, which works from any address until it ends.

    SECURITY: there, a grant that looks at the caller's address does not hold: nobody would look at it again.
    """

    __slots__ = ("_carried", "_context", "_default_issuer", "_facts", "_principal")

    def __init__(
        self, default_issuer: str, principal: Principal, facts: RequestFacts, *, carried: bool | None = None
    ) -> None:
        self._default_issuer = default_issuer
        self._principal = principal
        self._facts = facts
        self._carried = facts.carried if carried is None else carried
        self._context: Mapping[str, tuple[str, ...]] | None = None

    @classmethod
    def of(
        cls, policy: BoundPolicy, principal: Principal, facts: RequestFacts, *, carried: bool | None = None
    ) -> Situation:
        """Give the situation of a request under a policy; `carried` None = as the facts say."""
        return cls(policy.default_issuer, principal, facts, carried=carried)

    @property
    def instant(self) -> datetime:
        """When it is."""
        return self._facts.at

    def at(self, instant: datetime) -> Situation:
        """Give the same request at another instant."""
        facts = replace(self._facts, at=instant)
        return Situation(self._default_issuer, self._principal, facts, carried=self._carried)

    def ended(self, grant: Conditional) -> bool:
        """Tell whether a grant is past its end."""
        return grant.expires is not None and self._facts.at >= grant.expires

    def failing(self, grant: Conditional) -> tuple[Condition | NullCondition, ...]:
        """Give the conditions of a grant that are not true."""
        return () if grant.conditions is None else grant.conditions.failing(self._values())

    def values(self, key: Key) -> tuple[str, ...]:
        """Give what the request holds for a context key; nothing where it is absent."""
        return self._values().get(key.name, ())

    @property
    def posture(self) -> Posture:
        """What is known of buckets."""
        return self._facts.posture

    def bound_to_address(self, grant: Conditional) -> bool:
        """Tell whether a grant does not hold because what is decided would leave its address."""
        return self._carried and grant.conditions is not None and reads_address(grant.conditions)

    def holds(self, grant: Conditional) -> bool:
        """Tell whether a grant holds here and now, for those whom it names."""
        if self.ended(grant) or self.bound_to_address(grant):
            return False
        return grant.conditions is None or grant.conditions.holds(self._values())

    def turns(self, grants: Iterable[Conditional]) -> tuple[datetime, ...]:
        """Give each later instant at which one of the grants may begin or cease to hold, in order."""
        found: set[datetime] = set()
        for grant in grants:
            if grant.expires is not None and grant.expires > self._facts.at:
                found.add(grant.expires)
            if grant.conditions is not None:
                found.update(
                    changes(grant.conditions, self._values(), at=self._facts.at, issued_at=self._principal.issued_at)
                )
                # What leaves in a credential is looked at once, when it is issued: AWS makes none of a few minutes.
                if not self._carried:
                    found.update(posture_turns(grant.conditions, self._facts.posture, at=self._facts.at))
        return tuple(sorted(found))

    def end_of(self, grant: Conditional) -> datetime | None:
        """Give the first later instant at which a grant that holds does not hold any more; None = never."""
        if grant.conditions is None:
            return grant.expires
        return next((turn for turn in self.turns((grant,)) if not self.at(turn).holds(grant)), None)

    def _values(self) -> Mapping[str, tuple[str, ...]]:
        if self._context is None:
            own = values_of(self._principal, self._facts, default_issuer=self._default_issuer)
            self._context = {**own, **dict(posture_values(self._facts.posture, at=self._facts.at))}
        return self._context
