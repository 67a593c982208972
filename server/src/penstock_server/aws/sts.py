"""AssumeRole with a session policy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from penstock_server.aws.clients import AwsClients
from penstock_server.aws.errors import Failure, as_error
from penstock_server.model.secret import Secret

if TYPE_CHECKING:
    from mypy_boto3_sts.type_defs import AssumeRoleRequestTypeDef, AssumeRoleResponseTypeDef

OPERATION = "sts:AssumeRole"

# AWS: STS API, AssumeRole. botocore checks neither a pattern nor a longest length.
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_MIN_SECONDS = 900
_MAX_CHAINED_SECONDS = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class AssumeRole:
    """What is sent to STS; its door has validated every limit.

    `policy` is the session policy as compact JSON; `tags` are (key, value) pairs; `duration_seconds` is 900 to 3,600,
    because a role assumed with a role's credentials is chained.
    """

    role_arn: str
    session_name: str
    source_identity: str
    external_id: Secret[str] | None
    policy: str
    tags: tuple[tuple[str, str], ...]
    duration_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AssumedSession:
    """A temporary AWS session. `packed_policy_size` is a percentage of AWS's packed limit, or None if it is silent."""

    access_key_id: str
    secret_access_key: Secret[str]
    session_token: Secret[str]
    expires_at: datetime
    assumed_role_arn: str
    packed_policy_size: int | None


class SecurityTokenService:
    """Issues sessions in one region."""

    def __init__(self, clients: AwsClients, *, region: str) -> None:
        self._clients = clients
        self._region = region

    async def assume_role(self, request: AssumeRole) -> AssumedSession:
        """Assume a role.

        Raises:
            Unavailable: AWS is busy, away, refuses the broker, or answers nonsense.
            LimitExceeded: the session policy and tags exceed the packed size, or too many calls wait.
        """
        return await self._clients.run(lambda: self._call(request), operation=OPERATION)

    def _call(self, request: AssumeRole) -> AssumedSession:
        _require_what_sts_takes(request)
        parameters: AssumeRoleRequestTypeDef = {
            "RoleArn": request.role_arn,
            "RoleSessionName": request.session_name,
            "SourceIdentity": request.source_identity,
            "Policy": request.policy,
            "Tags": [{"Key": key, "Value": value} for key, value in request.tags],
            "DurationSeconds": request.duration_seconds,
        }
        if request.external_id is not None:
            parameters["ExternalId"] = request.external_id.reveal()
        return _read(self._clients.sts(self._region).assume_role(**parameters), request)


def fits_external_id(external_id: Secret[str]) -> bool:
    """Tell whether STS accepts an external id."""
    return _EXTERNAL_ID.fullmatch(external_id.reveal()) is not None


def _require_what_sts_takes(request: AssumeRole) -> None:
    """Refuse what STS would refuse, or a stand-in take, before anything is sent."""
    wrong = None
    if request.external_id is not None and not fits_external_id(request.external_id):
        wrong = "the external id is not one that STS accepts"
    elif _NAME.fullmatch(request.session_name) is None or _NAME.fullmatch(request.source_identity) is None:
        wrong = "the session name is not one that STS accepts"
    elif not _MIN_SECONDS <= request.duration_seconds <= _MAX_CHAINED_SECONDS:
        wrong = f"a chained session lasts {_MIN_SECONDS} to {_MAX_CHAINED_SECONDS} seconds"
    if wrong is not None:
        raise as_error(Failure.REFUSED, detail=f"{OPERATION}: {wrong}")


def _read(answer: AssumeRoleResponseTypeDef, request: AssumeRole) -> AssumedSession:
    try:
        credentials = answer["Credentials"]
        session = AssumedSession(
            access_key_id=credentials["AccessKeyId"],
            secret_access_key=Secret(credentials["SecretAccessKey"]),
            session_token=Secret(credentials["SessionToken"]),
            expires_at=credentials["Expiration"].astimezone(UTC),
            assumed_role_arn=answer["AssumedRoleUser"]["Arn"],
            packed_policy_size=answer.get("PackedPolicySize"),
        )
    except (KeyError, AttributeError, TypeError) as error:
        raise as_error(Failure.UNREACHABLE, detail=f"{OPERATION}: the answer is incomplete") from error
    # A session under another name could not be found again by the name that the audit has.
    if not session.assumed_role_arn.endswith(f"/{request.session_name}"):
        raise as_error(Failure.UNREACHABLE, detail=f"{OPERATION}: the answer names another session")
    return session
