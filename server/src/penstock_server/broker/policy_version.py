"""Which policy decides now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from penstock_server.broker.callers import Caller
from penstock_server.broker.decision_records import DecisionRecords, Question
from penstock_server.broker.policies import Policies
from penstock_server.model.audit import Event
from penstock_server.model.decision import PolicyVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionInForce:
    """The version that decides, and since when."""

    version: PolicyVersion
    bound_at: datetime


class PolicyBroker:
    """Answers PolicyService."""

    def __init__(self, *, policies: Policies, records: DecisionRecords) -> None:
        self._policies = policies
        self._records = records

    async def version(self, caller: Caller) -> VersionInForce:
        """Give the version, to every authenticated caller. Raises Unavailable."""
        question = Question(event=Event.POLICY_SHOWN, caller=caller, resources=())
        async with self._records.refusals(question):
            in_force = VersionInForce(version=self._policies.bound().version, bound_at=self._policies.bound_at())
        await self._records.allowed(question, in_force.version, details=())
        return in_force
