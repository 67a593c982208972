"""Buckets of a stand-in for S3, filled from folders, and an engine's store over them."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from moto.server import ThreadedMotoServer
from penstock_server.aws.clients import AwsClients
from penstock_server.aws.objects import S3Objects, SourceRole
from penstock_server.config.settings import CatalogKind, CatalogSettings, S3CatalogSettings
from penstock_server.model.resource import S3Location

REGION = "eu-west-1"
PREFIX = "curated/"


@dataclass(frozen=True, kw_only=True)
class Lake:
    """One bucket, how to change what is in it, and the catalog `lake` below `curated/`."""

    bucket: str
    client: Any
    store: S3Objects
    catalog: CatalogSettings

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=PREFIX + key, Body=body)

    def fill(self, folder: Path) -> None:
        """Put every file of a folder, under its path."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(str(path.relative_to(folder)), path.read_bytes())


@contextmanager
def stand_in() -> Iterator[str]:
    """The address of a stand-in for S3."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    finally:
        server.stop()


@contextmanager
def lake(aws_url: str, *, name: str = "lake", role: SourceRole | None = None) -> Iterator[Lake]:
    """A lake in a bucket of its own: backends of the stand-in belong to the process."""
    session = boto3.session.Session("ASIATEST", "test", "test")
    bucket = f"lake-{uuid.uuid4()}"
    client = session.client("s3", region_name=REGION, endpoint_url=aws_url)
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    store = S3Objects(AwsClients(session, endpoint_url=aws_url), region=REGION, role=role)
    uri = S3Location(bucket=bucket, key=PREFIX)
    settings = S3CatalogSettings(uri=uri, region=REGION, endpoint_url=aws_url, role=None)
    catalog = CatalogSettings(name=name, kind=CatalogKind.S3, path=Path("/"), location=uri, s3=settings)
    try:
        yield Lake(bucket=bucket, client=client, store=store, catalog=catalog)
    finally:
        store.close()
        client.close()
