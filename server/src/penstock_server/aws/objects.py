"""Objects of S3: listed, and read in ranges, each range of the version that was listed or not at all.

Where a role is configured, every table is read by a session of its own whose policy names the objects of that table
alone; else by the broker's own identity.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

from penstock_server.aws.clients import AwsClients, RoleSession
from penstock_server.aws.sts import AssumeRole, SecurityTokenService
from penstock_server.errors import PenstockError
from penstock_server.model.clock import Clock
from penstock_server.model.objects import ObjectFault, StoredObject
from penstock_server.model.resource import S3Location
from penstock_server.model.secret import Secret

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CALLS_AT_ONCE: Final = 8
_SESSION_SECONDS: Final = 3_600
_RENEWED_BEFORE: Final = timedelta(minutes=5)
_SESSION_NAME: Final = "penstock-source"
_MOST_SESSIONS: Final = 256
_MOST_LISTED: Final = 1_000_000


class SourceRole:
    """The role by which a catalog is read: `policy` of a session narrows it to one table, or to listing."""

    def __init__(self, sts: SecurityTokenService, *, arn: str, external_id: Secret[str] | None, clock: Clock) -> None:
        self._sts = sts
        self._arn = arn
        self._external_id = external_id
        self._clock = clock
        self._turn = asyncio.Lock()
        self._sessions: dict[str, RoleSession] = {}

    @property
    def partition(self) -> str:
        """The partition of AWS, such as `aws` or `aws-cn`."""
        return self._arn.split(":")[1]

    async def session(self, policy: str) -> RoleSession:
        """Give a session with this policy, kept until it is about to end. Raises Unavailable, LimitExceeded."""
        async with self._turn:
            kept = self._sessions.get(policy)
            if kept is not None and self._clock.now() < kept.expires_at - _RENEWED_BEFORE:
                return kept
            made = await self._sts.assume_role(
                AssumeRole(
                    role_arn=self._arn,
                    session_name=_SESSION_NAME,
                    source_identity=_SESSION_NAME,
                    external_id=self._external_id,
                    policy=policy,
                    tags=(),
                    duration_seconds=_SESSION_SECONDS,
                )
            )
            session = RoleSession(
                access_key_id=made.access_key_id,
                secret_access_key=made.secret_access_key,
                session_token=made.session_token,
                expires_at=made.expires_at,
            )
            while len(self._sessions) >= _MOST_SESSIONS:
                self._sessions.pop(next(iter(self._sessions)))
            self._sessions[policy] = session
            return session


class S3Objects:
    """Implements `model.ports.ObjectStore` for one endpoint and region. Belongs to one event loop."""

    def __init__(self, clients: AwsClients, *, region: str, role: SourceRole | None) -> None:
        self._clients = clients
        self._region = region
        self._role = role
        # More would wait in the executor, whose queue is bounded and refuses what is past it.
        self._turns = asyncio.Semaphore(_CALLS_AT_ONCE)
        self._making = threading.Lock()
        self._made: OrderedDict[str, S3Client] = OrderedDict()

    def close(self) -> None:
        """Stop taking calls."""
        self._clients.close()
        with self._making:
            for client in self._made.values():
                client.close()

    async def listed(self, prefix: S3Location) -> Sequence[StoredObject]:
        """Give every object below a prefix, by key. Raises ObjectFault."""
        try:
            session = None if self._role is None else await self._role.session(_listing(self._role.partition, prefix))
            async with self._turns:
                return await self._clients.run(lambda: self._list(session, prefix), operation="s3:ListObjectsV2")
        except PenstockError as error:
            raise ObjectFault(error.detail or error.message) from error

    async def read(self, stored: StoredObject, *, offset: int, length: int, within: S3Location) -> bytes:
        """Give a range of an object as it was listed. Raises ObjectFault: it changed, it is gone, S3 refuses."""
        if not stored.below(within):
            raise ObjectFault("an object outside its table")
        try:
            session = None if self._role is None else await self._role.session(_reading(self._role.partition, within))
            async with self._turns:
                data = await self._clients.run(
                    lambda: self._get(session, stored, offset, length), operation="s3:GetObject"
                )
        except PenstockError as error:
            raise ObjectFault(error.detail or error.message) from error
        if len(data) != length:
            raise ObjectFault("s3:GetObject: the object is shorter than was listed")
        return data

    def _client(self, session: RoleSession | None) -> S3Client:
        if session is None:
            return self._clients.s3(self._region)
        with self._making:
            client = self._made.get(session.access_key_id)
            if client is None:
                client = cast("S3Client", self._clients.acting_as(session, "s3", self._region))
                self._made[session.access_key_id] = client
                while len(self._made) > _MOST_SESSIONS:
                    self._made.popitem(last=False)[1].close()
            return client

    def _list(self, session: RoleSession | None, prefix: S3Location) -> tuple[StoredObject, ...]:
        pages = self._client(session).get_paginator("list_objects_v2").paginate(Bucket=prefix.bucket, Prefix=prefix.key)
        found: list[StoredObject] = []
        for page in pages:
            found.extend(
                StoredObject(bucket=prefix.bucket, key=told["Key"], size=told["Size"], etag=told["ETag"])
                for told in page.get("Contents", ())
            )
            if len(found) > _MOST_LISTED:
                raise ValueError("more objects than a catalog may have")
        return tuple(found)

    def _get(self, session: RoleSession | None, stored: StoredObject, offset: int, length: int) -> bytes:
        # SECURITY: a file that was replaced since it was listed is not mixed with what was read of it before, and is
        # never kept under the other's name (test_an_object_that_is_replaced_while_it_is_read_is_a_fault).
        answer = self._client(session).get_object(
            Bucket=stored.bucket,
            Key=stored.key,
            Range=f"bytes={offset}-{offset + length - 1}",
            IfMatch=stored.etag,
        )
        with answer["Body"] as body:
            return body.read()


def _listing(partition: str, prefix: S3Location) -> str:
    """Give the session policy for a listing: these keys of this bucket."""
    statement: dict[str, object] = {
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": f"arn:{partition}:s3:::{prefix.bucket}",
        "Condition": {"StringLike": {"s3:prefix": f"{_literal(prefix.key)}*"}},
    }
    return _document(statement)


def _reading(partition: str, within: S3Location) -> str:
    """Give the session policy for one table: its folder, or the one object that it is."""
    arn = f"arn:{partition}:s3:::{within.bucket}/{_literal(within.key)}"
    resource = f"{arn}*" if not within.key or within.key.endswith("/") else arn
    return _document({"Effect": "Allow", "Action": "s3:GetObject", "Resource": resource})


def _document(statement: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))


def _literal(key: str) -> str:
    """Write a key so that IAM takes none of it for a pattern or a variable.

    Source: IAM User Guide, policy variables, "Specifying special characters".
    """
    return "".join(f"${{{letter}}}" if letter in "*?$" else letter for letter in key)
