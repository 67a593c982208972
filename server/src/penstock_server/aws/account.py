"""What an account says of itself, for setting Penstock up: each question by itself, None where it is not answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from penstock_server.aws.clients import AwsClients
from penstock_server.errors import PenstockError

T = TypeVar("T")
_Client: TypeAlias = Any  # the answers below are read key by key

_KMS: Final = frozenset({"aws:kms", "aws:kms:dsse"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCluster:
    """A provisioned cluster, as Redshift describes it."""

    database: str
    host: str
    port: int


class AccountReader:
    """Asks as whoever runs the command. What is refused is in `refused`, by operation."""

    def __init__(self, clients: AwsClients, *, region: str) -> None:
        self._clients = clients
        self._region = region
        self.refused: list[str] = []

    async def account(self) -> str | None:
        """Give the twelve digits of the caller's account."""
        return await self._asked(
            "sts:GetCallerIdentity", lambda: str(self._clients.sts(self._region).get_caller_identity()["Account"])
        )

    async def bucket_key(self, bucket: str) -> str | None:
        """Give the ARN of the KMS key that a bucket is encrypted with, None where it is S3's own or not known."""

        def ask() -> str | None:
            s3: _Client = self._clients.s3(self._region)
            rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
            return next((found for rule in rules if (found := _key_of(rule))), None)

        return await self._asked(f"s3:GetEncryptionConfiguration on `{bucket}`", ask)

    async def cluster(self, identifier: str) -> FoundCluster | None:
        """Give where a cluster listens, and its first database."""

        def ask() -> FoundCluster:
            client: _Client = self._clients.redshift(self._region)
            (found,) = client.describe_clusters(ClusterIdentifier=identifier)["Clusters"]
            return FoundCluster(
                database=str(found["DBName"]),
                host=str(found["Endpoint"]["Address"]),
                port=int(found["Endpoint"]["Port"]),
            )

        return await self._asked(f"redshift:DescribeClusters of `{identifier}`", ask)

    async def _asked(self, operation: str, ask: Callable[[], T]) -> T | None:
        try:
            return await self._clients.run(ask, operation=operation)
        except PenstockError:
            self.refused.append(operation)
            return None


def _key_of(rule: Mapping[str, Any]) -> str | None:
    default = rule.get("ApplyServerSideEncryptionByDefault", {})
    key = str(default.get("KMSMasterKeyID", ""))
    # AWS: without a key named it is the account's `aws/s3`, whose policy lets the account's principals use it.
    return key if default.get("SSEAlgorithm") in _KMS and key.startswith("arn:aws:kms:") else None
