"""Questions whose refusal is an answer: each call tells whether AWS answered, refused, or could not be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final

from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from penstock_server.aws.clients import IAM_REGION, AwsClients, RoleSession
from penstock_server.errors import PenstockError
from penstock_server.model.secret import Secret

Answer = Mapping[str, Any]

_DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation", "403", "Forbidden"}
)
_ABSENT: Final = frozenset(
    {
        "ClusterNotFound",
        "404",
        "NoSuchBucket",
        "NoSuchBucketPolicy",
        "NoSuchEntity",
        "NoSuchKey",
        "NotFoundException",
        "PolicyNotFoundException",
        "ResourceNotFoundException",
        "ServerSideEncryptionConfigurationNotFoundError",
    }
)


class Outcome(StrEnum):
    """What became of a call. ABSENT: AWS let us look, and there is no such thing. UNKNOWN: no verdict of AWS's."""

    ANSWERED = "answered"
    DENIED = "denied"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """One call: `answer` is {} where there is none; `why` is AWS's code, or what kept it from being asked.

    `at` is the instant that AWS's answer carries, None where it carries none.
    """

    outcome: Outcome
    answer: Answer
    why: str
    at: datetime | None

    @property
    def answered(self) -> bool:
        """Whether AWS did what was asked."""
        return self.outcome is Outcome.ANSWERED


class Probes:
    """Makes calls as the broker, or as a session of a role. Never raises for what AWS says."""

    def __init__(self, clients: AwsClients, *, region: str) -> None:
        self._clients = clients
        self._region = region
        self._acting: dict[tuple[str, str, str], BaseClient] = {}

    def close(self) -> None:
        """Close what acted as sessions; the clients of the broker itself are their owner's."""
        for client in self._acting.values():
            client.close()
        self._acting.clear()

    @property
    def region(self) -> str:
        """Where calls go, but for IAM's."""
        return self._region

    async def ask(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, object],
        *,
        session: RoleSession | None = None,
        region: str | None = None,
    ) -> Probed:
        """Make one call; `operation` is the name of boto3's method."""
        where = IAM_REGION if service == "iam" else region or self._region

        def call() -> Probed:
            try:
                return _answered(getattr(self._client(session, service, where), operation)(**parameters))
            except ClientError as error:
                return _refused(error)
            except BotoCoreError as error:
                return _unknown(type(error).__name__)

        try:
            return await self._clients.run(call, operation=f"{service}:{operation}")
        except PenstockError as error:
            return _unknown(error.detail or error.message)

    def _client(self, session: RoleSession | None, service: str, region: str) -> BaseClient:
        if session is None:
            return self._clients.own(service, region)
        # Calls come one after the other, so nobody else is at this.
        place = (session.access_key_id, service, region)
        if place not in self._acting:
            self._acting[place] = self._clients.acting_as(session, service, region)
        return self._acting[place]

    async def assume(self, parameters: Mapping[str, object]) -> tuple[Probed, RoleSession | None]:
        """Assume a role; gives the session where AWS made one."""
        probed = await self.ask("sts", "assume_role", parameters)
        if not probed.answered:
            return probed, None
        credentials = probed.answer.get("Credentials", {})
        try:
            return probed, RoleSession(
                access_key_id=credentials["AccessKeyId"],
                secret_access_key=Secret(credentials["SecretAccessKey"]),
                session_token=Secret(credentials["SessionToken"]),
                expires_at=credentials["Expiration"].astimezone(UTC),
            )
        except (KeyError, AttributeError, TypeError):
            return _unknown("the answer is incomplete"), None


def _answered(answer: Answer) -> Probed:
    return Probed(outcome=Outcome.ANSWERED, answer=answer, why="", at=_date(answer))


def _refused(error: ClientError) -> Probed:
    code = str(error.response.get("Error", {}).get("Code", ""))
    outcome = Outcome.UNKNOWN
    if code in _DENIED:
        outcome = Outcome.DENIED
    elif code in _ABSENT or code.startswith("NoSuch"):
        outcome = Outcome.ABSENT
    return Probed(outcome=outcome, answer={}, why=code, at=_date(error.response))


def _unknown(why: str) -> Probed:
    return Probed(outcome=Outcome.UNKNOWN, answer={}, why=why, at=None)


def _date(answer: Any) -> datetime | None:  # noqa: ANN401 - botocore's answers of two kinds
    header = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        found = parsedate_to_datetime(header) if isinstance(header, str) else None
    except ValueError:
        return None
    return None if found is None or found.tzinfo is None else found.astimezone(UTC)
