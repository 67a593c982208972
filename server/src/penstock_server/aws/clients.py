"""How AWS is reached: one session, bounded clients, one bounded executor."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar, cast

import boto3
from botocore.client import BaseClient
from botocore.config import Config

from penstock_server.aws.errors import AWS_EXCEPTIONS, Failure, as_error, translate
from penstock_server.errors import ConfigurationError, LimitExceeded, PenstockError, Reason
from penstock_server.model.secret import Secret

if TYPE_CHECKING:
    from mypy_boto3_redshift import RedshiftClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient

T = TypeVar("T")

CONNECT_TIMEOUT_SECONDS = 3
READ_TIMEOUT_SECONDS = 8
MAX_ATTEMPTS = 3
DEADLINE_SECONDS = 30.0
"""The longest that a caller waits; three attempts with time-outs and back-off may take longer."""
WORKERS = 8
MAX_CALLS = 64
"""Calls that run or wait at one time; the next one is refused at once."""

LONG_TERM_KEY_PREFIX = "AKIA"
LONG_TERM = "the broker runs on the long-term keys of an IAM user; give it a role instead"
IAM_REGION = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSession:
    """Credentials of a role that the broker assumes for itself."""

    access_key_id: str
    secret_access_key: Secret[str]
    session_token: Secret[str]
    expires_at: datetime


def client_config() -> Config:
    """Give what every client of ours is made with."""
    return Config(  # type: ignore[call-arg]  # the stubs lack ignore_configured_endpoint_urls, botocore 1.44 has it
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        # AWS: "standard" retries throttling and broken connections only, with jitter, and counts the first attempt.
        retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
        max_pool_connections=WORKERS,
        tcp_keepalive=True,
        # SECURITY: no variable or shared file may send our signed calls elsewhere.
        ignore_configured_endpoint_urls=True,
        user_agent_extra="penstock",
    )


class AwsClients:
    """Makes clients on first use and runs their calls; close it when the service stops.

    `session` is the broker's own identity: an instance, task or pod role, found by boto3's default chain.
    `endpoint_url` None means AWS itself.
    """

    def __init__(self, session: boto3.session.Session, *, endpoint_url: str | None) -> None:
        self._session = session
        self._endpoint_url = endpoint_url
        self._executor = ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="aws")
        # Two locks: making a client may wait for the network, and counting calls happens on the event loop.
        self._counting = threading.Lock()
        self._making = threading.Lock()
        self._calls = 0
        self._clients: dict[tuple[str, str], BaseClient] = {}

    def close(self) -> None:
        """Stop taking calls, without waiting: calls that run already end by their own time-outs."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        with self._making:
            for client in self._clients.values():
                client.close()

    async def run(self, call: Callable[[], T], *, operation: str) -> T:
        """Run one blocking call and give its answer.

        Raises:
            LimitExceeded: too many calls run or wait already (`QUEUE_FULL`).
            Unavailable, LimitExceeded: what AWS said, by `errors.translate`.
        """
        future = self._submit(call, operation)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            raise as_error(Failure.UNREACHABLE, detail=f"{operation}: no answer in {DEADLINE_SECONDS} s") from error
        except AWS_EXCEPTIONS as error:
            raise translate(error, operation=operation) from error
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            # AWS: botocore's parsers let these through where an answer is well-formed but not of the service (1.44).
            detail = f"{operation}: the answer cannot be read ({type(error).__name__})"
            raise as_error(Failure.UNREACHABLE, detail=detail) from error

    async def require_temporary(self) -> None:
        """Refuse to start on credentials that do not end. Where none are found yet, each call says so by itself.

        Raises:
            ConfigurationError: the broker runs on the long-term keys of an IAM user.
        """
        try:
            await self.run(self._refuse_long_term_keys, operation="looking for the broker's own credentials")
        except PenstockError as error:
            if LONG_TERM in error.detail:
                raise ConfigurationError((f"credentials.aws: {error.detail}",)) from error

    def sts(self, region: str) -> STSClient:
        """Give the STS client of a region. Blocks on first use; call it inside `run`.

        Raises:
            Unavailable: the broker runs on the keys of an IAM user.
        """
        return cast("STSClient", self._of("sts", region))

    def redshift(self, region: str) -> RedshiftClient:
        """Give the Redshift client of a region. Blocks on first use; call it inside `run`.

        Raises:
            Unavailable: the broker runs on the keys of an IAM user.
        """
        return cast("RedshiftClient", self._of("redshift", region))

    def s3(self, region: str) -> S3Client:
        """Give the S3 client of a region, for settings of buckets. Blocks on first use; call it inside `run`.

        Raises:
            Unavailable: the broker runs on the keys of an IAM user.
        """
        return cast("S3Client", self._of("s3", region))

    def s3_control(self, region: str) -> BaseClient:
        """Give the S3 Control client of a region. Blocks on first use; call it inside `run`.

        Raises:
            Unavailable: the broker runs on the keys of an IAM user.
        """
        return self._of("s3control", region)

    def lake_formation(self, region: str) -> BaseClient:
        """Give the Lake Formation client of a region. Blocks on first use; call it inside `run`.

        Raises:
            Unavailable: the broker runs on the keys of an IAM user.
        """
        return self._of("lakeformation", region)

    def own(self, service: str, region: str) -> BaseClient:
        """Give the client of any service as the broker's own identity. Blocks on first use; call it inside `run`.

        Raises:
            Unavailable: the broker runs on the keys of an IAM user.
        """
        return self._of(service, region)

    def _of(self, service: str, region: str) -> BaseClient:
        with self._making:
            self._refuse_long_term_keys()
            client = self._clients.get((service, region))
            if client is None:
                client = self._session.client(  # type: ignore[call-overload]  # the stubs want the name written out
                    service, region_name=region, endpoint_url=self._endpoint_url, config=client_config()
                )
                self._clients[service, region] = client
            return client

    def iam_as(self, session: RoleSession) -> BaseClient:
        """Give an IAM client that acts as a role's session; the caller closes it. Blocks; call it inside `run`."""
        # AWS: IAM is one service for all regions of a partition, and signs for this one.
        return self.acting_as(session, "iam", IAM_REGION)

    def acting_as(self, session: RoleSession, service: str, region: str) -> BaseClient:
        """Give a client that acts as a role's session; the caller closes it. Blocks; call it inside `run`."""
        made = boto3.session.Session(
            aws_access_key_id=session.access_key_id,
            aws_secret_access_key=session.secret_access_key.reveal(),
            aws_session_token=session.session_token.reveal(),
        )
        with self._making:
            client: BaseClient = made.client(  # type: ignore[call-overload]  # the stubs want the name written out
                service, region_name=region, endpoint_url=self._endpoint_url, config=client_config()
            )
            return client

    def _submit(self, call: Callable[[], T], operation: str) -> Future[T]:
        with self._counting:
            if self._calls >= MAX_CALLS:
                raise LimitExceeded(
                    Reason.QUEUE_FULL,
                    "too many credentials are being issued at this moment",
                    limit="calls to AWS at one time",
                    value=str(MAX_CALLS),
                    hint="try again in a few seconds",
                    detail=operation,
                )
            self._calls += 1
        try:
            future = self._executor.submit(call)
        except RuntimeError as error:
            self._done()
            raise as_error(Failure.UNREACHABLE, detail=f"{operation}: the service is stopping") from error
        future.add_done_callback(self._done)
        return future

    def _done(self, _: object = None) -> None:
        with self._counting:
            self._calls -= 1

    def _refuse_long_term_keys(self) -> None:
        credentials = self._session.get_credentials()
        if credentials is None:
            return  # the call itself fails with NoCredentialsError
        frozen = credentials.get_frozen_credentials()
        # SECURITY: sessions made with an IAM user's keys can be turned into console sessions of 12 hours, whatever
        # their own lifetime; with temporary credentials that federation call fails.
        if frozen.access_key is None:
            return
        # AWS: only long-term keys come without a session token; stand-ins at another address take any.
        lasting = self._endpoint_url is None and not frozen.token
        if lasting or frozen.access_key.startswith(LONG_TERM_KEY_PREFIX):
            raise as_error(
                Failure.BROKER_CREDENTIALS,
                detail=LONG_TERM,
            )
