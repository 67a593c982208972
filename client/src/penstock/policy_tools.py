"""The calls of `Broker.policy`, awaitable and waiting."""

from __future__ import annotations

from penstock import policies, unpacking_policies
from penstock.calls import Calls
from penstock.policies import PolicyFiles, PolicyInForce, PolicyPlan, PolicyReload, PolicyValidation
from penstock.portal import Portal
from penstock.v1 import policy_service_pb2 as messages
from penstock.v1 import policy_service_pb2_grpc


class AsyncPolicy:
    """Policies as a whole; all but `version` for administrators. Every method raises `PenstockError` or a subclass."""

    def __init__(self, calls: Calls) -> None:
        """Take what makes the calls; use `Broker.policy`."""
        self._calls = calls

    async def version(self) -> PolicyInForce:
        """Give the version that decides now, and whether the server's files say something else."""
        answer = await self._calls.unary(
            lambda c: policy_service_pb2_grpc.PolicyServiceStub(c).GetPolicyVersion, messages.GetPolicyVersionRequest()
        )
        return unpacking_policies.in_force(answer)

    async def validate(self, files: PolicyFiles) -> PolicyValidation:
        """Check a policy against the catalogs of the server; nothing changes there.

        `files` is a file or folder on this machine, or texts by relative names; rules datasets (CSV) go along.
        """
        request = messages.ValidatePolicyRequest(files=_files(files))
        answer = await self._calls.unary(lambda c: policy_service_pb2_grpc.PolicyServiceStub(c).ValidatePolicy, request)
        return unpacking_policies.validation(answer)

    async def plan(self, files: PolicyFiles) -> PolicyPlan:
        """Prove what a policy would do in place of the one that decides, for all data and all principals.

        Raises:
            AccessDenied: the caller is no administrator.
            InvalidRequest: the policy could not be loaded; `validate` tells all that is wrong.
            LimitExceeded: the proof takes too long.
        """
        request = messages.PlanPolicyRequest(files=_files(files))
        answer = await self._calls.unary(lambda c: policy_service_pb2_grpc.PolicyServiceStub(c).PlanPolicy, request)
        return unpacking_policies.plan(answer)

    async def reload(self) -> PolicyReload:
        """Make the server read its own policy files anew; where they are broken, nothing changes."""
        request = messages.ReloadPolicyRequest()
        answer = await self._calls.unary(lambda c: policy_service_pb2_grpc.PolicyServiceStub(c).ReloadPolicy, request)
        return unpacking_policies.reload(answer)


class Policy:
    """Policies as a whole; its methods are those of `AsyncPolicy`, and wait."""

    def __init__(self, policy: AsyncPolicy, portal: Portal) -> None:
        """Take the calls to wait for; use `Broker.policy`."""
        self._policy = policy
        self._portal = portal

    def version(self) -> PolicyInForce:
        """Give the version that decides now, and whether the server's files say something else."""
        return self._portal.run(self._policy.version())

    def validate(self, files: PolicyFiles) -> PolicyValidation:
        """Check a policy against the catalogs of the server; nothing changes there."""
        return self._portal.run(self._policy.validate(files))

    def plan(self, files: PolicyFiles) -> PolicyPlan:
        """Prove what a policy would do in place of the one that decides, for all data and all principals."""
        return self._portal.run(self._policy.plan(files))

    def reload(self) -> PolicyReload:
        """Make the server read its own policy files anew; where they are broken, nothing changes."""
        return self._portal.run(self._policy.reload())


def _files(files: PolicyFiles) -> list[messages.PolicyFile]:
    return [messages.PolicyFile(path=path, content=content) for path, content in policies.read(files).items()]
