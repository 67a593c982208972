"""Settings as values. Paths are absolute, durations `timedelta`, sizes bytes, secrets still references."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from penstock_server.model.principal import PrincipalSelector
from penstock_server.model.resource import S3Location


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """Certificate, key and, for mTLS, the authority that signs clients; all PEM files."""

    certificate: Path
    private_key: Path
    client_ca: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """`listen` is HOST:PORT; without `tls` HOST is a loopback address."""

    listen: str
    tls: TlsSettings | None
    reflection: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerSettings:
    """One OpenID provider whose access tokens are accepted; see docs/configuration.md for each key.

    Exactly one key source holds: `jwks_file`, `jwks_uri`, or neither (OIDC discovery at `issuer`).
    `token_types` holds lower-case `typ` values, and "" for an absent header. `group_prefix` is "" for the default
    issuer. `groups_claim` is a dotted path already split.
    """

    issuer: str
    audience: str
    client_id: str | None
    scopes: tuple[str, ...]
    device_flow: bool
    jwks_file: Path | None
    jwks_uri: str | None
    algorithms: frozenset[str]
    token_types: frozenset[str]
    username_claim: str
    groups_claim: tuple[str, ...]
    group_prefix: str
    attribute_claims: tuple[tuple[str, str], ...]
    required_claims: tuple[tuple[str, str], ...]
    default: bool
    max_token_age: timedelta
    allowed_clients: frozenset[str]
    ca: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySettings:
    """Issuers, and who may administer and audit."""

    issuers: tuple[IssuerSettings, ...]
    administrators: tuple[PrincipalSelector, ...]
    auditors: tuple[PrincipalSelector, ...]


class CatalogKind(StrEnum):
    """Where a catalog's tables are."""

    PARQUET = "parquet"
    DATABASE = "database"
    S3 = "s3"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3CatalogSettings:
    """Parquet files on S3, laid out as in a folder below `uri`, whose key is empty or ends in `/`.

    `role` names one of `credentials.aws.roles`; None = the broker's own identity reads.
    """

    uri: S3Location
    region: str
    endpoint_url: str | None
    role: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogSettings:
    """A catalog: a folder `<database>/<table>.parquet` or `<database>/<table>/*.parquet`, or one DuckDB file.

    `location` is where its files live for the credential doors, or None. Of one on S3, `s3` says where it is, and
    `path` is the folder of the configuration, which nobody reads.
    """

    name: str
    kind: CatalogKind
    path: Path
    location: S3Location | None
    s3: S3CatalogSettings | None = None

    @property
    def place(self) -> str:
        """Where it is, for the operator."""
        return str(self.path if self.s3 is None else self.s3.uri)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuerySettings:
    """Bounds of the query door. `timeout` is engine time; `stall_timeout` bounds a client that does not read.

    `extract_bytes` bounds the extracts that are kept in memory; 0 = none are. `waiting` bounds the statements that wait
    while `concurrency` of them run, and `waiting_per_principal` those of one principal among them.
    """

    timeout: timedelta
    stall_timeout: timedelta
    memory_bytes: int
    max_rows: int | None
    concurrency: int
    extract_bytes: int = 0
    waiting: int = 512
    waiting_per_principal: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSettings:
    """An IAM role that the broker may assume; `serves` are ARN patterns that end in `/*` or name a bucket."""

    name: str
    arn: str
    external_id: str | None
    serves: tuple[str, ...]
    max_ttl: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationSettings:
    """How sessions are revoked: the ARN of the role that writes, and of the boundary policy that it writes."""

    role: str
    boundary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsSettings:
    """How AWS is reached; `endpoint_url` is for stand-ins and private endpoints. No `revocation` = none is possible."""

    region: str
    endpoint_url: str | None
    roles: tuple[RoleSettings, ...]
    revocation: RevocationSettings | None = None


class DatabaseUserStyle(StrEnum):
    """How a database user is named: by username, or by a hash of issuer and subject."""

    USERNAME = "username"
    HASH = "hash"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedshiftSettings:
    """A provisioned Redshift cluster for `creds redshift NAME`."""

    name: str
    cluster_identifier: str
    region: str
    database: str
    host: str
    port: int
    identity: DatabaseUserStyle
    user_prefix: str


class LifetimeRule(StrEnum):
    """TOKEN: credentials end with the access token; FIXED: they may outlive it, up to 1 h."""

    TOKEN = "token"  # noqa: S105 - the word of the configuration, not a password
    FIXED = "fixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialSettings:
    """The credential doors; `aws` None = no AWS sessions are issued, and no Redshift logins either."""

    lifetime: LifetimeRule
    protected_locations: tuple[S3Location, ...]
    aws: AwsSettings | None
    redshift: tuple[RedshiftSettings, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that `penstock.yaml` says; `source` is the file and `digest` its SHA-256 in hex, for the audit."""

    source: Path
    digest: str
    server: ServerSettings
    identity: IdentitySettings
    policies: tuple[Path, ...]
    catalogs: tuple[CatalogSettings, ...]
    query: QuerySettings
    credentials: CredentialSettings
    state_url: str
    audit_path: Path
