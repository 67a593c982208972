"""Iceberg tables in a stand-in for Glue and S3, written by pyiceberg."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
from penstock_server.aws.clients import AwsClients
from penstock_server.aws.glue import GlueTables
from penstock_server.aws.objects import S3Objects
from penstock_server.config.settings import CatalogKind, CatalogSettings, GlueCatalogSettings
from pyiceberg.catalog.glue import GlueCatalog

REGION = "eu-west-1"


@dataclass(frozen=True, kw_only=True)
class IcebergLake:
    """A catalog `lake` with one database, the writer behind it, and what an engine needs to read it."""

    bucket: str
    database: str
    writer: GlueCatalog
    s3: Any
    glue: Any
    catalog: CatalogSettings
    stores: dict[str, S3Objects]
    registries: dict[str, GlueTables]

    def create(self, name: str, rows: pa.Table, **options: Any) -> Any:
        """Make a table of these rows."""
        table = self.writer.create_table(
            (self.database, name), rows.schema, location=f"s3://{self.bucket}/{name}", **options
        )
        table.append(rows)
        return table

    def load(self, name: str) -> Any:
        return self.writer.load_table((self.database, name))


@contextmanager
def iceberg_lake(url: str) -> Iterator[IcebergLake]:
    """A lake with names of its own: backends of the stand-in belong to the process."""
    session = boto3.session.Session("ASIATEST", "test", "test")
    bucket, database = f"ice-{uuid.uuid4()}", f"db_{uuid.uuid4().hex}"
    s3 = session.client("s3", region_name=REGION, endpoint_url=url)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    glue: Any = session.client("glue", region_name=REGION, endpoint_url=url)
    writer = GlueCatalog(
        "glue",
        client=glue,
        **{
            "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO",
            "s3.endpoint": url,
            "s3.access-key-id": "ASIATEST",
            "s3.secret-access-key": "test",
            "s3.session-token": "test",
            "s3.region": REGION,
        },
    )
    writer.create_namespace(database)
    clients = AwsClients(session, endpoint_url=url)
    store = S3Objects(AwsClients(session, endpoint_url=url), region=REGION, role=None)
    settings = GlueCatalogSettings(databases=(database,), region=REGION, endpoint_url=url, catalog_id=None, role=None)
    catalog = CatalogSettings(name="lake", kind=CatalogKind.GLUE, path=Path("/"), location=None, glue=settings)
    registry = GlueTables(clients, region=REGION, catalog_id=None, databases=(database,))
    try:
        yield IcebergLake(
            bucket=bucket,
            database=database,
            writer=writer,
            s3=s3,
            glue=glue,
            catalog=catalog,
            stores={"lake": store},
            registries={"lake": registry},
        )
    finally:
        store.close()
        clients.close()
        s3.close()
        glue.close()
