"""What is to be set up, and what things are called."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from penstock_server.model.decision import Access
from penstock_server.model.dynamodb import DynamoDbTarget

_EXTERNAL_ID_CHARS: Final = 26


class Compute(StrEnum):
    """Where the broker runs, and so which service of AWS gives it its role."""

    ECS = "ecs"
    EC2 = "ec2"
    EKS = "eks"


class Provider(StrEnum):
    """The identity provider that a recipe is written for."""

    OKTA = "okta"
    ENTRA = "entra"
    KEYCLOAK = "keycloak"
    AUTH0 = "auth0"
    COGNITO = "cognito"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedBucket:
    """A bucket that sessions may reach. `account` owns it; `key` is the ARN of its KMS key, None without one."""

    name: str
    account: str
    key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedCluster:
    """A provisioned Redshift cluster; `groups` are those that logins may join."""

    identifier: str
    database: str
    host: str
    port: int
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    """Everything that the texts depend on. `account` holds the target roles.

    `foreign_targets` are ARNs of target roles in other accounts, which the broker may assume too.
    `foreign_broker` is the ARN of a broker's role in another account: then this account gets target roles alone.
    `prefix` begins every name.
    """

    account: str
    region: str
    prefix: str
    compute: Compute
    foreign_broker: str | None
    foreign_targets: tuple[str, ...]
    external_id: str
    access: frozenset[Access]
    buckets: tuple[ServedBucket, ...]
    tables: tuple[DynamoDbTarget, ...]
    cluster: ServedCluster | None
    issuer: str
    audience: str
    provider: Provider

    @property
    def broker(self) -> str:
        """The ARN of the role that the service runs as."""
        return self.foreign_broker or self.role("broker")

    @property
    def lake(self) -> str:
        """The ARN of the target role."""
        return self.role("lake")

    @property
    def boundary(self) -> str:
        """The ARN of the boundary policy."""
        return f"arn:aws:iam::{self.account}:policy/{self.prefix}-boundary"

    @property
    def own_buckets(self) -> tuple[ServedBucket, ...]:
        """Buckets of this account."""
        return tuple(bucket for bucket in self.buckets if bucket.account == self.account)

    @property
    def foreign_buckets(self) -> tuple[ServedBucket, ...]:
        """Buckets of other accounts, whose own policies must let the target role in."""
        return tuple(bucket for bucket in self.buckets if bucket.account != self.account)

    def name(self, what: str) -> str:
        """Give the name of a role or policy."""
        return f"{self.prefix}-{what}"

    def role(self, what: str) -> str:
        """Give the ARN of a role of this account."""
        return f"arn:aws:iam::{self.account}:role/{self.name(what)}"


def own_external_id(account: str, prefix: str) -> str:
    """Give the external id of an account: another for each, the same at each run. It is no secret.

    Source: IAM user guide, "Access to AWS accounts owned by third parties": it must be unique for each account, and
    chosen by whoever assumes the role, never by whoever asks for something.
    """
    digest = hashlib.sha256(f"penstock external id\n{account}\n{prefix}".encode()).digest()
    return f"{prefix}-{base64.b32encode(digest).decode().lower()[:_EXTERNAL_ID_CHARS]}"
