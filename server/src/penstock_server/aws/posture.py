"""Whether a bucket is encrypted and private, asked of S3 by calls that read settings and nothing else.

What is examined: the bucket's default encryption; the public access blocks of the bucket and of its account; whether
its policy is public; who owns its objects. Not examined: objects that were written before a setting was made, access
points, and what named principals of other accounts were given.

Source: Amazon S3 user guide, "Blocking public access to your Amazon S3 storage", "Controlling ownership of objects",
"Setting default server-side encryption"; API, PublicAccessBlockConfiguration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from botocore.exceptions import ClientError

from penstock_server.aws.clients import AwsClients
from penstock_server.errors import PenstockError
from penstock_server.model.clock import Clock
from penstock_server.model.posture import BucketPosture, Finding, Requirement

_ENCRYPTED: Final = frozenset({"AES256", "aws:kms", "aws:kms:dsse"})
_NO_ENCRYPTION: Final = "ServerSideEncryptionConfigurationNotFoundError"
_NO_BLOCK: Final = "NoSuchPublicAccessBlockConfiguration"
_NO_POLICY: Final = "NoSuchBucketPolicy"
_NO_OWNERSHIP: Final = "OwnershipControlsNotFoundError"
_SOURCE_ACCOUNT: Final = "Account"

Answer = Mapping[str, object]


class BucketChecks:
    """Looks at buckets as the broker's own identity. `region` is where calls go first; S3 tells where to go then."""

    def __init__(self, clients: AwsClients, *, region: str, clock: Clock) -> None:
        self._clients = clients
        self._region = region
        self._clock = clock
        self._account: str | None = None

    async def check(self, bucket: str) -> BucketPosture:
        """Give what can be found out; what AWS does not answer is not known, and raises nothing."""
        checked_at = self._clock.now()
        return BucketPosture(
            bucket=bucket, checked_at=checked_at, findings=(await self._encrypted(bucket), await self._private(bucket))
        )

    async def _encrypted(self, bucket: str) -> Finding:
        requirement = Requirement.ENCRYPTED
        try:
            answer = await self._ask("get_bucket_encryption", bucket, absent=_NO_ENCRYPTION)
        except PenstockError as error:
            return _unknown(requirement, error, "s3:GetEncryptionConfiguration")
        if _algorithms(answer) & _ENCRYPTED:
            return Finding(requirement=requirement, met=True, why="", remedy="")
        return Finding(
            requirement=requirement,
            met=False,
            why="it has no default encryption that is known here",
            remedy="set its default encryption to SSE-S3 or SSE-KMS",
        )

    async def _private(self, bucket: str) -> Finding:
        requirement = Requirement.PRIVATE
        try:
            block = _block(await self._ask("get_public_access_block", bucket, absent=_NO_BLOCK))
            block |= await self._account_block(bucket)
        except PenstockError as error:
            return _unknown(requirement, error, "s3:GetBucketPublicAccessBlock")
        wrong: list[str] = []
        remedies: list[str] = []
        try:
            # AWS: these two undo what policies and ACLs made public; the other two only stop new ones.
            if "RestrictPublicBuckets" not in block and await self._policy_is_public(bucket):
                wrong.append("its policy is public")
                remedies.append("mend the policy, or set RestrictPublicBuckets")
            # SECURITY: an ACL of one object can make it public, whatever the bucket's own says.
            if "IgnorePublicAcls" not in block and not await self._acls_are_off(bucket):
                wrong.append("ACLs may make its objects public")
                remedies.append("set Object Ownership to BucketOwnerEnforced, or IgnorePublicAcls")
        except PenstockError as error:
            return _unknown(requirement, error, "s3:GetBucketPolicyStatus and s3:GetBucketOwnershipControls")
        if wrong:
            return Finding(requirement=requirement, met=False, why=" and ".join(wrong), remedy=", and ".join(remedies))
        return Finding(requirement=requirement, met=True, why="", remedy="")

    async def _policy_is_public(self, bucket: str) -> bool:
        answer = await self._ask("get_bucket_policy_status", bucket, absent=_NO_POLICY)
        if not answer:
            return False
        status = answer.get("PolicyStatus")
        # Anything but a plain "no" counts as public.
        return not isinstance(status, Mapping) or status.get("IsPublic") is not False

    async def _acls_are_off(self, bucket: str) -> bool:
        answer = await self._ask("get_bucket_ownership_controls", bucket, absent=_NO_OWNERSHIP)
        controls = answer.get("OwnershipControls")
        rules = controls.get("Rules") if isinstance(controls, Mapping) else None
        owners = [rule.get("ObjectOwnership") for rule in rules] if isinstance(rules, list) else []
        return owners == ["BucketOwnerEnforced"]

    async def _account_block(self, bucket: str) -> frozenset[str]:
        """Give what the account of the bucket blocks; nothing where it is not the broker's own, or says nothing."""
        try:
            account = await self._own_account()
            # AWS: refused where another account owns the bucket; the settings of ours say nothing of it then.
            await self._ask("get_bucket_encryption", bucket, absent=_NO_ENCRYPTION, ExpectedBucketOwner=account)
            answer = await self._run(
                "s3control:GetPublicAccessBlock",
                lambda: self._asked_of_account(account),
                absent=_NO_BLOCK,
            )
        except PenstockError:
            # It can only add to what the bucket blocks itself.
            return frozenset()
        return _block(answer)

    def _asked_of_account(self, account: str) -> Answer:
        ask = getattr(self._clients.s3_control(self._region), "get_public_access_block")  # noqa: B009 - no stubs
        answer: Answer = ask(AccountId=account)
        return answer

    async def _own_account(self) -> str:
        if self._account is None:
            answer = await self._run(
                "sts:GetCallerIdentity", lambda: self._clients.sts(self._region).get_caller_identity(), absent=None
            )
            self._account = str(answer.get(_SOURCE_ACCOUNT, ""))
        return self._account

    async def _ask(self, method: str, bucket: str, *, absent: str | None, **more: str) -> Answer:
        def call() -> Answer:
            answer: Answer = getattr(self._clients.s3(self._region), method)(Bucket=bucket, **more)
            return answer

        return await self._run(f"s3:{method}", call, absent=absent)

    async def _run(self, operation: str, call: Callable[[], Answer], *, absent: str | None) -> Answer:
        """Give an answer; an empty one where AWS says by the code `absent` that nothing was set.

        Raises:
            PenstockError: what else AWS said, or that it did not answer.
        """

        def asked() -> Answer:
            try:
                return call()
            except ClientError as error:
                if absent is not None and error.response.get("Error", {}).get("Code") == absent:
                    return {}
                raise

        return await self._clients.run(asked, operation=operation)


def _algorithms(answer: Answer) -> set[object]:
    """Give the default algorithms; none where there is more than one rule, or one that cannot be read."""
    configuration = answer.get("ServerSideEncryptionConfiguration")
    rules = configuration.get("Rules") if isinstance(configuration, Mapping) else None
    if not isinstance(rules, list) or len(rules) != 1 or not isinstance(rules[0], Mapping):
        return set()
    default = rules[0].get("ApplyServerSideEncryptionByDefault")
    return {default.get("SSEAlgorithm")} if isinstance(default, Mapping) else set()


def _block(answer: Answer) -> frozenset[str]:
    """Give the settings that are on."""
    configuration = answer.get("PublicAccessBlockConfiguration")
    found = configuration.items() if isinstance(configuration, Mapping) else ()
    return frozenset(str(name) for name, value in found if value is True)


def _unknown(requirement: Requirement, error: PenstockError, permission: str) -> Finding:
    return Finding(
        requirement=requirement,
        met=None,
        why=f"it could not be found out ({error.reason.value.lower().replace('_', ' ')})",
        remedy=f"give the broker's role {permission} on the bucket",
    )
