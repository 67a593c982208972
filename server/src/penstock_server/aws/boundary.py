"""The permissions boundary of the target roles, written by a role of its own that may write nothing else."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import unquote

from penstock_server.aws.clients import AwsClients, RoleSession
from penstock_server.aws.errors import Failure, as_error
from penstock_server.model.clock import Clock
from penstock_server.model.secret import Secret

if TYPE_CHECKING:
    from mypy_boto3_sts.type_defs import AssumeRoleRequestTypeDef

_Iam: TypeAlias = Any  # there are no stubs of IAM among the dependencies

OPERATION: Final = "iam:CreatePolicyVersion"

_SESSION_NAME: Final = "penstock-revoker"
_SESSION_SECONDS: Final = 3_600
_RENEWED_BEFORE: Final = timedelta(minutes=5)
_MOST_VERSIONS: Final = 5
"""AWS: a managed policy has at most five versions; the sixth is refused until one is deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryState:
    """What AWS says of the policy: the default version, as compact JSON, and where it is attached as permissions."""

    text: str
    attachments: int


class BoundaryPolicy:
    """Reads and writes one managed policy as the revoker's role. Calls block each other: there is one writer."""

    def __init__(
        self,
        clients: AwsClients,
        *,
        role: str,
        policy: str,
        region: str,
        clock: Clock,
        external_id: Secret[str] | None = None,
    ) -> None:
        self._clients = clients
        self._role = role
        self._policy = policy
        self._region = region
        self._clock = clock
        self._external_id = external_id
        self._turn = threading.Lock()
        self._session: RoleSession | None = None

    @property
    def account(self) -> str:
        """The twelve digits of the account of the policy."""
        return self._policy.split(":")[4]

    async def read(self) -> BoundaryState:
        """Give the default version. Raises Unavailable, LimitExceeded."""
        return await self._clients.run(self._read, operation="iam:GetPolicyVersion")

    async def write(self, text: str) -> BoundaryState:
        """Make a text the default version, and give what AWS says to be the default version then.

        Raises:
            Unavailable, LimitExceeded: AWS is away, busy, or refuses; what holds then is not known.
        """
        return await self._clients.run(lambda: self._write(text), operation=OPERATION)

    async def bounded(self, roles: Iterable[str]) -> frozenset[str]:
        """Give those of the roles (ARNs) that carry this policy as their permissions boundary. Raises as `read`."""
        wanted = tuple(role for role in roles if role.split(":")[4] == self.account)
        return await self._clients.run(lambda: self._bounded(wanted), operation="iam:GetRole")

    def _read(self) -> BoundaryState:
        with self._turn:
            iam = self._iam()
            try:
                return self._default(iam)
            finally:
                iam.close()

    def _write(self, text: str) -> BoundaryState:
        with self._turn:
            iam = self._iam()
            try:
                versions = iam.list_policy_versions(PolicyArn=self._policy)["Versions"]
                for version in _to_delete(versions):
                    iam.delete_policy_version(PolicyArn=self._policy, VersionId=version)
                iam.create_policy_version(PolicyArn=self._policy, PolicyDocument=text, SetAsDefault=True)
                return self._default(iam)
            finally:
                iam.close()

    def _bounded(self, roles: tuple[str, ...]) -> frozenset[str]:
        with self._turn:
            iam = self._iam()
            try:
                return frozenset(role for role in roles if self._is_bounded(iam, role))
            finally:
                iam.close()

    def _is_bounded(self, iam: _Iam, role: str) -> bool:
        found = iam.get_role(RoleName=role.rsplit("/", 1)[-1])["Role"]
        boundary = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        return bool(found["Arn"] == role and boundary == self._policy)

    def _default(self, iam: _Iam) -> BoundaryState:
        policy = iam.get_policy(PolicyArn=self._policy)["Policy"]
        version = iam.get_policy_version(PolicyArn=self._policy, VersionId=policy["DefaultVersionId"])
        document = version["PolicyVersion"]["Document"]
        if isinstance(document, str):
            # AWS: documents travel percent-encoded; botocore decodes them, an answer of another form is decoded here.
            document = json.loads(unquote(document))
        return BoundaryState(
            text=json.dumps(document, separators=(",", ":")), attachments=int(policy.get("AttachmentCount", 0))
        )

    def _iam(self) -> _Iam:
        session = self._session
        if session is None or session.expires_at <= self._clock.now() + _RENEWED_BEFORE:
            session = self._session = self._assume()
        return self._clients.iam_as(session)

    def _assume(self) -> RoleSession:
        parameters: AssumeRoleRequestTypeDef = {
            "RoleArn": self._role,
            "RoleSessionName": _SESSION_NAME,
            "DurationSeconds": _SESSION_SECONDS,
        }
        if self._external_id is not None:
            parameters["ExternalId"] = self._external_id.reveal()
        answer = self._clients.sts(self._region).assume_role(**parameters)
        try:
            credentials = answer["Credentials"]
            return RoleSession(
                access_key_id=credentials["AccessKeyId"],
                secret_access_key=Secret(credentials["SecretAccessKey"]),
                session_token=Secret(credentials["SessionToken"]),
                expires_at=credentials["Expiration"].astimezone(UTC),
            )
        except (KeyError, AttributeError, TypeError) as error:
            raise as_error(Failure.UNREACHABLE, detail="sts:AssumeRole: the answer is incomplete") from error


def _to_delete(versions: list[dict[str, Any]]) -> list[str]:
    """Give the oldest versions that must go so that one more fits; never the default one."""
    others = sorted((found for found in versions if not found["IsDefaultVersion"]), key=_number)
    return [found["VersionId"] for found in others[: max(0, len(versions) - _MOST_VERSIONS + 1)]]


def _number(version: dict[str, Any]) -> int:
    return int(version["VersionId"].removeprefix("v"))
