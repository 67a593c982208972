"""penstock.v1.PolicyService."""

from __future__ import annotations

from penstock.v1 import policy_service_pb2 as messages

from penstock_server.broker.policy_version import PolicyBroker
from penstock_server.service.calls import Call, caller_of
from penstock_server.service.methods import Method, UnaryMethod
from penstock_server.service.packing import timestamp

NAME = "penstock.v1.PolicyService"


class PolicyService:
    """Tells about the policy as a whole."""

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
        )

    async def get_policy_version(
        self, _: messages.GetPolicyVersionRequest, call: Call
    ) -> messages.GetPolicyVersionResponse:
        """Give the version that decides now."""
        in_force = await self._broker.version(caller_of(call))
        return messages.GetPolicyVersionResponse(
            policy_version=in_force.version, bind_time=timestamp(in_force.bound_at)
        )
