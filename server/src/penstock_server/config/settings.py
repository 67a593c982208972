"""Settings as values. Paths are absolute, durations `timedelta`, sizes bytes, secrets still references."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from penstock_server.model.principal import PrincipalSelector
from penstock_server.model.resource import S3Location
from penstock_server.model.spark import SparkKind


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """Certificate, key and, for mTLS, the authority that signs clients; all PEM files."""

    certificate: Path
    private_key: Path
    client_ca: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """`listen` is HOST:PORT; without `tls` HOST is a loopback address, as that of `metrics` always is."""

    listen: str
    tls: TlsSettings | None
    reflection: bool
    metrics: str | None = None


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
    GLUE = "glue"


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
class GlueCatalogSettings:
    """Iceberg tables of databases of the Glue Data Catalog; `catalog_id` is its account, None = the broker's own.

    `endpoint_url` is for Glue and S3 alike. `role` is as in `S3CatalogSettings`.
    """

    databases: tuple[str, ...]
    region: str
    endpoint_url: str | None
    catalog_id: str | None
    role: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogSettings:
    """A catalog: a folder `<database>/<table>.parquet` or `<database>/<table>/*.parquet`, or one DuckDB file.

    `location` is where its files live for the credential doors, or None. Of one on S3 or in Glue, `s3` or `glue` says
    where it is, and `path` is the folder of the configuration, which nobody reads. `canonical_order` gives rows by
    their values: the order in which the source has them, which tells of rows between them, is not shown.
    """

    name: str
    kind: CatalogKind
    path: Path
    location: S3Location | None
    s3: S3CatalogSettings | None = None
    glue: GlueCatalogSettings | None = None
    canonical_order: bool = False

    @property
    def place(self) -> str:
        """Where it is, for the operator."""
        if self.glue is not None:
            return f"Glue in {self.glue.region}"
        return str(self.path if self.s3 is None else self.s3.uri)

    @property
    def remote(self) -> bool:
        """Whether it is looked at over the network."""
        return self.s3 is not None or self.glue is not None


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
    """An IAM role that the broker may assume; `serves` are ARN patterns that end in `/*` or name a bucket.

    One that serves nothing is for catalogs alone: no session of anybody is made from it.
    `bucket_accounts` are (bucket, account) of served buckets that another account than the role's owns.
    """

    name: str
    arn: str
    external_id: str | None
    serves: tuple[str, ...]
    max_ttl: timedelta
    bucket_accounts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationSettings:
    """How sessions are revoked: the ARN of the role that writes, and of the boundary policy that it writes.

    `external_id` is what that role's trust policy asks for, None where it asks for none.
    """

    role: str
    boundary: str
    external_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsSettings:
    """How AWS is reached; `endpoint_url` is for stand-ins and private endpoints. No `revocation` = none is possible.

    `broker_role` is the ARN of the role that this process must run as, None where that is not said.
    """

    region: str
    endpoint_url: str | None
    roles: tuple[RoleSettings, ...]
    revocation: RevocationSettings | None = None
    broker_role: str | None = None


class DatabaseUserStyle(StrEnum):
    """How a database user is named: by username, by a hash of issuer and subject, or anew for each lease."""

    USERNAME = "username"
    HASH = "hash"
    LEASE = "lease"


class WarehouseKind(StrEnum):
    """CLUSTER: each person has a database user. CLUSTER_IAM, SERVERLESS: an IAM role has one, shared by its people."""

    CLUSTER = "cluster"
    CLUSTER_IAM = "cluster-iam"
    SERVERLESS = "serverless"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaperSettings:
    """The login by which sessions are ended; `password` is a reference. `encrypted` False only on loopback."""

    user: str
    password: str
    encrypted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedUserSettings:
    """The IAM role whose one database user all people of a login share, and the database roles that it has."""

    role: str
    external_id: str | None
    database_roles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeSettings:
    """The warehouse enforces the policy itself.

    `catalog` is the one whose tables it holds, as DATABASE.TABLE. Tables of `open_schemas` are nobody's secret.
    """

    catalog: str
    open_schemas: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RedshiftSettings:
    """A Redshift warehouse for `creds redshift NAME`.

    `cluster_identifier` is "" where it is serverless, `workgroup` where it is a cluster. `shared` stands with the kinds
    whose people share a user. Without `reaper` no session is ended, and without `native` nothing is enforced inside.
    """

    name: str
    cluster_identifier: str
    region: str
    database: str
    host: str
    port: int
    identity: DatabaseUserStyle
    user_prefix: str
    kind: WarehouseKind = WarehouseKind.CLUSTER
    workgroup: str = ""
    auto_create: bool = False
    shared: SharedUserSettings | None = None
    reaper: ReaperSettings | None = None
    native: NativeSettings | None = None

    @property
    def warehouse(self) -> str:
        """Name the warehouse, as bindings of its users do: the same for all logins of one cluster."""
        return f"{self.region}/{self.cluster_identifier or self.workgroup}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkSettings:
    """A platform that runs Spark jobs under session policies.

    `application` is EMR Serverless's application id, or the name of Glue's job; `role` names one of
    `credentials.aws.roles`, which the service assumes for a job, and whose `serves` bounds what one may ask for.
    """

    name: str
    kind: SparkKind
    application: str
    region: str
    role: str
    max_ttl: timedelta


class LifetimeRule(StrEnum):
    """TOKEN: credentials end with the access token; FIXED: they may outlive it, up to 1 h."""

    TOKEN = "token"  # noqa: S105 - the word of the configuration, not a password
    FIXED = "fixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialSettings:
    """The credential doors; `aws` None = no AWS sessions are issued, and no Redshift logins either.

    `accepted_resource_grants` are ARNs of resources whose own policies are not looked at, `*` = of none.
    """

    lifetime: LifetimeRule
    protected_locations: tuple[S3Location, ...]
    aws: AwsSettings | None
    redshift: tuple[RedshiftSettings, ...]
    spark: tuple[SparkSettings, ...] = ()
    accepted_resource_grants: tuple[str, ...] = ()


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
