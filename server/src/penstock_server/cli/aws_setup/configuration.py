"""The configuration and the policy that fit a set-up. Values are written as JSON, which is YAML that hides nothing."""

from __future__ import annotations

import json
from typing import Final

from penstock_server.cli.aws_setup.redshift_sql import REAPER_USER, USER_PREFIX
from penstock_server.cli.aws_setup.wanted import SetUp

FILE: Final = "penstock.yaml"
POLICY_FILE: Final = "policies/starter.yaml"
LAKE_FOLDER: Final = "lake/"

POLICY: Final = """\
# Who sees what: docs/policy-reference.md. Nothing is visible that no grant names, and none names anything yet.
version: 1
# grants:
#   - {name: analysts-read-flights, principals: ["group:analysts"], resource: lake.nyc.flights, permissions: [SELECT]}
"""

_CONFIGURATION: Final = """\
# The configuration of Penstock: docs/configuration.md says what each key means.
server:
  listen: 127.0.0.1:50051            # other addresses need tls: {{certificate: ..., private_key: ...}}
identity:
  issuers:
    - issuer: {issuer}
      audience: {audience}
      client_id: penstock-cli        # what `penstock login` uses
{claims}  administrators: []                 # such as ["group:data-platform"]
  auditors: []                       # such as ["group:security"]
policies: [policies]
catalogs:
  lake:
    engine: duckdb
    parquet: lake                    # a folder here; for files on S3 instead of this line:
    # s3: {{uri: {lake}, region: {region}, role: query}}
{credentials}state: {{url: "sqlite:///var/penstock.db"}}
audit: {{path: var/audit}}
"""

_CREDENTIALS: Final = """\
credentials:
  aws:
    region: {region}
    broker_role: {broker}
    roles:
{roles}{query}    revocation:
      role: {revoker}
      boundary: {boundary}
      external_id: {external_id}
{redshift}"""

_ROLE: Final = """\
      {name}:
        arn: {arn}
        external_id: {external_id}
        max_ttl: 1h
        serves:
{serves}"""

_QUERY: Final = """\
      query:                         # no session is made from it: it is for `catalogs.NAME.s3.role`
        arn: {arn}
        external_id: {external_id}
        serves: []
"""

_CLUSTER: Final = """\
  redshift:
    {name}:
      kind: cluster
      cluster_identifier: {name}
      region: {region}
      database: {database}
      host: {host}
      port: {port}
      user_prefix: {prefix}
      # Sessions are ended, and users of leases made, by a login of its own: redshift.sql makes it.
      # reaper: {{user: {reaper}, password: "env:PENSTOCK_REAPER_PASSWORD"}}
"""

EXTERNAL_ID_FILE: Final = "penstock.env"
_EXTERNAL_ID_VARIABLE: Final = "PENSTOCK_EXTERNAL_ID"


def configuration(setup: SetUp, *, claims: str) -> str:
    """Give the text of a whole configuration; `claims` are the lines of the issuer that the provider needs."""
    return _CONFIGURATION.format(
        issuer=_text(setup.issuer),
        audience=_text(setup.audience),
        claims=claims,
        lake=_text(f"s3://{setup.buckets[0].name}/" if setup.buckets else "s3://BUCKET/"),
        region=_text(setup.region),
        credentials=_CREDENTIALS.format(
            region=_text(setup.region),
            broker=_text(setup.broker),
            roles=role_lines(setup),
            revoker=_text(setup.role("revoker")),
            boundary=_text(setup.boundary),
            query=_QUERY.format(arn=_text(setup.role("query")), external_id=_text(_reference(setup))),
            external_id=_text(_reference(setup)),
            redshift=_cluster(setup),
        ),
    )


def role_lines(setup: SetUp) -> str:
    """Give the entry of the target role for `credentials.aws.roles`."""
    served = [f"arn:aws:s3:::{bucket.name}/*" for bucket in setup.buckets] + [str(table) for table in setup.tables]
    text = _ROLE.format(
        name=f"lake-{setup.account}" if setup.foreign_broker else "lake",
        arn=_text(setup.lake),
        external_id=_text(_reference(setup)),
        serves="".join(f"          - {_text(pattern)}\n" for pattern in served),
    )
    if setup.foreign_buckets:
        owners = "".join(f"          {bucket.name}: {_text(bucket.account)}\n" for bucket in setup.foreign_buckets)
        text += f"        bucket_accounts:\n{owners}"
    return text


def environment(setup: SetUp) -> str:
    """Give the variables that the configuration refers to."""
    return f"{_variable(setup)}={setup.external_id}\n"


def _reference(setup: SetUp) -> str:
    return f"env:{_variable(setup)}"


def _variable(setup: SetUp) -> str:
    # Each account has an external id of its own.
    return f"{_EXTERNAL_ID_VARIABLE}_{setup.account}" if setup.foreign_broker else _EXTERNAL_ID_VARIABLE


def _cluster(setup: SetUp) -> str:
    cluster = setup.cluster
    if cluster is None:
        return ""
    return _CLUSTER.format(
        name=cluster.identifier,
        region=_text(setup.region),
        database=_text(cluster.database),
        host=_text(cluster.host),
        port=cluster.port,
        prefix=_text(USER_PREFIX),
        reaper=REAPER_USER,
    )


def _text(value: str) -> str:
    return json.dumps(value)
