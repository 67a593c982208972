"""Temporary logins whose database user belongs to an IAM role: serverless workgroups, and clusters by IAM identity.

The role is assumed for the one call, with a session policy that allows nothing else, and its session is dropped.

Source: Redshift Serverless API, GetCredentials; Redshift API, GetClusterCredentialsWithIAM; Redshift management guide,
"Setting up federated database roles" (tag `RedshiftDbRoles`, names joined by `:`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from penstock_server.aws.clients import AwsClients, RoleSession
from penstock_server.aws.errors import Failure, as_error
from penstock_server.aws.redshift import ClusterCredentials
from penstock_server.aws.sts import AssumedSession, AssumeRole, SecurityTokenService
from penstock_server.model.secret import Secret

SERVERLESS: Final = "redshift-serverless:GetCredentials"
WITH_IAM: Final = "redshift:GetClusterCredentialsWithIAM"
ROLES_TAG: Final = "RedshiftDbRoles"
SESSION_SECONDS: Final = 900
_OWN_USER: Final = ("IAMR:", "IAM:")


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedLogin:
    """What is asked for; `workgroup` is "" for a cluster, `cluster_identifier` for a serverless one.

    `tags` are those of the session beside the database roles.
    """

    region: str
    cluster_identifier: str
    workgroup: str
    database: str
    duration_seconds: int
    role_arn: str
    external_id: Secret[str] | None
    session_name: str
    database_roles: tuple[str, ...]
    tags: tuple[tuple[str, str], ...]

    @property
    def operation(self) -> str:
        """The operation of AWS."""
        return SERVERLESS if self.workgroup else WITH_IAM


def parameters(request: SharedLogin) -> dict[str, Any]:
    """Give the parameters of the call. A user, groups or automatic creation cannot be asked for in either."""
    if request.workgroup:
        return {
            "workgroupName": request.workgroup,
            "dbName": request.database,
            "durationSeconds": request.duration_seconds,
        }
    return {
        "ClusterIdentifier": request.cluster_identifier,
        # AWS: without DbName the password opens every database of the cluster.
        "DbName": request.database,
        "DurationSeconds": request.duration_seconds,
    }


def assumption(request: SharedLogin) -> AssumeRole:
    """Give how the role is assumed."""
    roles = ":".join(request.database_roles)
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": request.operation, "Resource": "*"},
            {"Effect": "Deny", "NotAction": request.operation, "Resource": "*"},
        ],
    }
    return AssumeRole(
        role_arn=request.role_arn,
        session_name=request.session_name,
        source_identity=request.session_name,
        external_id=request.external_id,
        policy=json.dumps(policy, separators=(",", ":")),
        tags=(*request.tags, *(((ROLES_TAG, roles),) if roles else ())),
        duration_seconds=SESSION_SECONDS,
    )


class SharedLogins:
    """Issues logins of shared database users."""

    def __init__(self, clients: AwsClients, sts: SecurityTokenService) -> None:
        self._clients = clients
        self._sts = sts

    async def get(self, request: SharedLogin) -> ClusterCredentials:
        """Assume the role and ask for a temporary password.

        Raises:
            Unavailable: AWS is busy, away, refuses the broker, knows no such warehouse, or answers nonsense.
            LimitExceeded: too many calls wait.
        """
        session = await self._sts.assume_role(assumption(request))
        return await self._clients.run(lambda: self._call(request, session), operation=request.operation)

    def _call(self, request: SharedLogin, session: AssumedSession) -> ClusterCredentials:
        acting = RoleSession(
            access_key_id=session.access_key_id,
            secret_access_key=session.secret_access_key,
            session_token=session.session_token,
            expires_at=session.expires_at,
        )
        service = "redshift-serverless" if request.workgroup else "redshift"
        client: Any = self._clients.acting_as(acting, service, request.region)
        try:
            call = client.get_credentials if request.workgroup else client.get_cluster_credentials_with_iam
            return _read(call(**parameters(request)), request)
        finally:
            client.close()


def _read(answer: dict[str, Any], request: SharedLogin) -> ClusterCredentials:
    names = ("dbUser", "dbPassword", "expiration") if request.workgroup else ("DbUser", "DbPassword", "Expiration")
    try:
        user, password, expiration = (answer[name] for name in names)
        credentials = ClusterCredentials(user=user, password=Secret(password), expires_at=expiration.astimezone(UTC))
    except (KeyError, AttributeError, TypeError) as error:
        raise as_error(Failure.UNREACHABLE, detail=f"{request.operation}: the answer is incomplete") from error
    # SECURITY: a user of another form may be one that an administrator made, with rights of its own.
    if not credentials.user.startswith(_OWN_USER):
        raise as_error(Failure.UNREACHABLE, detail=f"{request.operation}: the answer names a user that is no role's")
    return credentials
