"""The policy as a whole: which one decides, and what administrators may do with another one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from penstock_server.broker.callers import Caller, Roles
from penstock_server.broker.decision_records import DecisionRecords, Question
from penstock_server.broker.policies import Policies
from penstock_server.broker.policy_drafts import DraftFile, PlannedChange, PolicyDrafts, Validation
from penstock_server.broker.reloading import Cause, PolicyLoader, ReloadOutcome
from penstock_server.model.audit import Event
from penstock_server.model.decision import PolicyVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionInForce:
    """The version that decides, and since when.

    `reload_failed` = it is not what the policy files say now; `reload_problems` say why, to administrators only.
    """

    version: PolicyVersion
    bound_at: datetime
    reload_failed: bool
    reload_problems: tuple[str, ...]


class PolicyBroker:
    """Answers PolicyService.

    SECURITY: plans and problems tell what a policy holds, so every call but that for the version is for administrators
    (test_only_administrators_may).
    """

    def __init__(
        self, *, policies: Policies, loader: PolicyLoader, drafts: PolicyDrafts, roles: Roles, records: DecisionRecords
    ) -> None:
        self._policies = policies
        self._loader = loader
        self._drafts = drafts
        self._roles = roles
        self._records = records

    async def version(self, caller: Caller) -> VersionInForce:
        """Give the version, to every authenticated caller. Raises Unavailable."""
        question = Question(event=Event.POLICY_SHOWN, caller=caller, resources=())
        async with self._records.refusals(question):
            failure = self._loader.failure
            tells = failure is not None and self._roles.is_administrator(caller.principal)
            in_force = VersionInForce(
                version=self._policies.bound().version,
                bound_at=self._policies.bound_at(),
                reload_failed=failure is not None,
                reload_problems=failure.problems if failure is not None and tells else (),
            )
        await self._records.allowed(question, in_force.version, details=())
        return in_force

    async def validate(self, caller: Caller, files: tuple[DraftFile, ...]) -> Validation:
        """Say what is wrong with a policy. Raises AccessDenied, InvalidRequest, Unavailable."""
        question = Question(event=Event.POLICY_VALIDATED, caller=caller, resources=_names(files))
        async with self._records.refusals(question):
            self._roles.require_administrator(caller.principal)
            found = await self._drafts.validate(files)
            in_force = self._policies.bound().version
        details = (("draft_version", found.version or ""), ("problems", str(len(found.problems))))
        await self._records.allowed(question, in_force, details=details)
        return found

    async def plan(self, caller: Caller, files: tuple[DraftFile, ...]) -> PlannedChange:
        """Prove what a policy would do in place of the one that decides now.

        Raises:
            AccessDenied: the caller is no administrator.
            InvalidRequest: the files are no policy that could be loaded.
            LimitExceeded: the proof takes too long.
            Unavailable: there is no policy to compare with.
        """
        question = Question(event=Event.POLICY_PLANNED, caller=caller, resources=_names(files))
        async with self._records.refusals(question):
            self._roles.require_administrator(caller.principal)
            change = await self._drafts.plan(files)
        details = (("draft_version", change.report.plan.new), ("verdict", change.report.verdict))
        await self._records.allowed(question, change.report.plan.old, details=details)
        return change

    async def reload(self, caller: Caller) -> ReloadOutcome:
        """Read the policy files anew; what goes wrong is in the outcome. Raises AccessDenied, Unavailable."""
        question = Question(event=Event.POLICY_RELOADED, caller=caller, resources=())
        async with self._records.refusals(question):
            self._roles.require_administrator(caller.principal)
            outcome = await self._loader.reload(Cause.CALL)
        await self._records.allowed(question, outcome.version, details=(("failed", str(outcome.failed).lower()),))
        return outcome


def _names(files: tuple[DraftFile, ...]) -> tuple[str, ...]:
    return tuple(file.path for file in files)
