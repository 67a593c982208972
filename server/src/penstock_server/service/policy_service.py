"""penstock.v1.PolicyService."""

from __future__ import annotations

from penstock.v1 import policy_service_pb2 as messages

from penstock_server.broker.policy import PolicyBroker
from penstock_server.broker.policy_drafts import DraftFile
from penstock_server.service.calls import Call, caller_of
from penstock_server.service.methods import Method, UnaryMethod
from penstock_server.service.packing import timestamp
from penstock_server.service.plan_packing import packed_plan, packed_problems

NAME = "penstock.v1.PolicyService"

MAX_POLICY_BYTES = 3 * 1024 * 1024
"""Largest request that carries a policy; below what the transport takes, so that a larger one gets a typed answer."""


class PolicyService:
    """Tells about the policy as a whole, and about drafts of another one."""

    def __init__(self, broker: PolicyBroker) -> None:
        self._broker = broker

    def methods(self) -> tuple[Method, ...]:
        """Give the methods that are served."""
        return (
            UnaryMethod(
                name=f"/{NAME}/GetPolicyVersion",
                request=messages.GetPolicyVersionRequest,
                answer=self.get_policy_version,
            ),
            UnaryMethod(
                name=f"/{NAME}/ValidatePolicy",
                request=messages.ValidatePolicyRequest,
                answer=self.validate_policy,
                max_request_bytes=MAX_POLICY_BYTES,
            ),
            UnaryMethod(
                name=f"/{NAME}/PlanPolicy",
                request=messages.PlanPolicyRequest,
                answer=self.plan_policy,
                max_request_bytes=MAX_POLICY_BYTES,
            ),
            UnaryMethod(name=f"/{NAME}/ReloadPolicy", request=messages.ReloadPolicyRequest, answer=self.reload_policy),
        )

    async def get_policy_version(
        self, _: messages.GetPolicyVersionRequest, call: Call
    ) -> messages.GetPolicyVersionResponse:
        """Give the version that decides now."""
        in_force = await self._broker.version(caller_of(call))
        return messages.GetPolicyVersionResponse(
            policy_version=in_force.version,
            bind_time=timestamp(in_force.bound_at),
            reload_failed=in_force.reload_failed,
            reload_problems=packed_problems(in_force.reload_problems),
        )

    async def validate_policy(
        self, request: messages.ValidatePolicyRequest, call: Call
    ) -> messages.ValidatePolicyResponse:
        """Say what is wrong with a policy."""
        found = await self._broker.validate(caller_of(call), _draft(request))
        return messages.ValidatePolicyResponse(
            problems=packed_problems(found.problems),
            warnings=packed_problems(found.warnings),
            policy_version=found.version or "",
        )

    async def plan_policy(self, request: messages.PlanPolicyRequest, call: Call) -> messages.PlanPolicyResponse:
        """Tell what a change of policy would do."""
        change = await self._broker.plan(caller_of(call), _draft(request))
        return packed_plan(change.report)

    async def reload_policy(self, _: messages.ReloadPolicyRequest, call: Call) -> messages.ReloadPolicyResponse:
        """Read the policy files anew."""
        outcome = await self._broker.reload(caller_of(call))
        return messages.ReloadPolicyResponse(
            loaded=not outcome.failed,
            policy_version=outcome.version or "",
            problems=packed_problems(outcome.problems),
        )


def _draft(request: messages.ValidatePolicyRequest | messages.PlanPolicyRequest) -> tuple[DraftFile, ...]:
    return tuple(DraftFile(path=file.path, content=file.content) for file in request.files)
