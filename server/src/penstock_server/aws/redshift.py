"""Temporary logins of provisioned Redshift clusters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from penstock_server.aws.clients import AwsClients
from penstock_server.aws.errors import Failure, as_error
from penstock_server.model.secret import Secret

if TYPE_CHECKING:
    from mypy_boto3_redshift.type_defs import ClusterCredentialsTypeDef, GetClusterCredentialsMessageTypeDef

OPERATION = "redshift:GetClusterCredentials"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterLogin:
    """What is sent to Redshift; its door has validated every limit. A user is made by it where `auto_create`."""

    region: str
    cluster_identifier: str
    database_user: str
    database: str
    database_groups: tuple[str, ...]
    duration_seconds: int
    auto_create: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterCredentials:
    """A database login; `user` is exactly what Redshift returned (`IAM:pk_alice`) and must be used so."""

    user: str
    password: Secret[str]
    expires_at: datetime


class RedshiftLogins:
    """Issues logins of clusters."""

    def __init__(self, clients: AwsClients) -> None:
        self._clients = clients

    async def get_cluster_credentials(self, request: ClusterLogin) -> ClusterCredentials:
        """Ask for a temporary password.

        Raises:
            Unavailable: AWS is busy, away, refuses the broker, knows no such cluster, or answers nonsense.
            LimitExceeded: too many calls wait.
        """
        return await self._clients.run(lambda: self._call(request), operation=OPERATION)

    def _call(self, request: ClusterLogin) -> ClusterCredentials:
        parameters: GetClusterCredentialsMessageTypeDef = {
            "ClusterIdentifier": request.cluster_identifier,
            "DbUser": request.database_user,
            # AWS: without DbName the password opens every database of the cluster.
            "DbName": request.database,
            "DurationSeconds": request.duration_seconds,
            "AutoCreate": request.auto_create,
        }
        if request.database_groups:
            parameters["DbGroups"] = list(request.database_groups)
        return _read(self._clients.redshift(request.region).get_cluster_credentials(**parameters), request)


def _read(answer: ClusterCredentialsTypeDef, request: ClusterLogin) -> ClusterCredentials:
    try:
        credentials = ClusterCredentials(
            user=answer["DbUser"],
            password=Secret(answer["DbPassword"]),
            expires_at=answer["Expiration"].astimezone(UTC),
        )
    except (KeyError, AttributeError, TypeError) as error:
        raise as_error(Failure.UNREACHABLE, detail=f"{OPERATION}: the answer is incomplete") from error
    # AWS: the user comes back as `IAM:NAME`, `IAMA:NAME`, or with `:GROUP` behind it; it may never be another NAME.
    if not _names(credentials.user, request.database_user):
        raise as_error(Failure.UNREACHABLE, detail=f"{OPERATION}: the answer names another user")
    return credentials


def _names(returned: str, asked: str) -> bool:
    parts = returned.split(":")
    return returned == asked or (len(parts) >= 2 and parts[0] in {"IAM", "IAMA"} and parts[1] == asked)
