"""What is asked of the credential doors, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock_server.model.decision import Access, PolicyVersion
from penstock_server.model.lease import LeaseId
from penstock_server.model.secret import Secret

NOT_REVOCABLE = "no"
"""This version cannot end a credential before it expires."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsCredentialRequest:
    """Asks for one AWS session, as the caller wrote it: nothing is validated yet.

    `resources` are ARNs of S3 objects or of prefixes that end in `/*`, of tables and indexes of DynamoDB, or names of
    tables. `ttl` None = as long as
    may be, up to one hour. `request_id` is the caller's idempotency key (UUID4), or None.
    """

    resources: tuple[str, ...]
    access: tuple[Access, ...]
    ttl: timedelta | None
    purpose: str
    request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedAwsCredentials:
    """An AWS session. `session_policy` is the exact text that was sent; `scope` lists what it reaches, in words."""

    access_key_id: str
    secret_access_key: Secret[str]
    session_token: Secret[str]
    expires_at: datetime
    session_policy: str
    scope: str
    lease_id: LeaseId
    role_arn: str
    region: str
    revocable: str
    grants: tuple[str, ...]
    policy_version: PolicyVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class RedshiftLoginRequest:
    """Asks for one login of a configured cluster, as the caller wrote it: nothing is validated yet."""

    name: str
    ttl: timedelta | None
    purpose: str
    request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedRedshiftLogin:
    """A database login; `user` is exactly what Redshift returned and must be used so."""

    user: str
    password: Secret[str]
    host: str
    port: int
    database: str
    database_groups: tuple[str, ...]
    expires_at: datetime
    lease_id: LeaseId
    revocable: str
    grants: tuple[str, ...]
    policy_version: PolicyVersion
