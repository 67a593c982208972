"""What is taken from Glue of a table: where it lies and where its metadata is, if that is within."""

from __future__ import annotations

from typing import Any

import pytest
from penstock_server.aws.glue import registered
from penstock_server.model.registered import RegisteredTable
from penstock_server.model.resource import S3Location


def told(location: str, metadata: str) -> dict[str, Any]:
    return {
        "DatabaseName": "nyc",
        "Name": "trips",
        "StorageDescriptor": {"Location": location},
        "Parameters": {"table_type": "ICEBERG", "metadata_location": metadata, "s3.endpoint": "http://evil"},
    }


def test_a_table_is_its_folder_and_its_metadata() -> None:
    assert registered(told("s3a://lake/trips", "s3://lake/trips/metadata/1.json")) == RegisteredTable(
        database="nyc",
        table="trips",
        location=S3Location(bucket="lake", key="trips/"),
        metadata=S3Location(bucket="lake", key="trips/metadata/1.json"),
    )


@pytest.mark.parametrize(
    ("location", "metadata"),
    [
        ("s3://lake/trips", "s3://lake/trips-of-others/metadata/1.json"),
        ("s3://lake/trips", "s3://other/trips/metadata/1.json"),
        ("s3://lake", "s3://lake/trips/metadata/1.json"),
        ("hdfs://lake/trips", "s3://lake/trips/metadata/1.json"),
        ("s3://lake/trips", "file:///etc/passwd"),
    ],
)
def test_metadata_outside_the_folder_of_its_table_is_refused(location: str, metadata: str) -> None:
    with pytest.raises(ValueError, match="table"):
        registered(told(location, metadata))
