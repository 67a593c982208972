"""One stand-in for AWS for the tests of a file."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from support.credentials import REGION

CLUSTER = "analytics"


@pytest.fixture(scope="module")
def aws_url() -> Iterator[str]:
    """The address of moto with one cluster `analytics`. It answers; it never proves that AWS would deny."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    redshift = boto3.client(
        "redshift",
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    # Backends of moto belong to the process: another file may have made the cluster, or emptied them.
    if not any(found["ClusterIdentifier"] == CLUSTER for found in redshift.describe_clusters()["Clusters"]):
        redshift.create_cluster(
            ClusterIdentifier=CLUSTER,
            NodeType="ra3.large",
            MasterUsername="awsuser",
            MasterUserPassword="Stand-in-0",  # nobody signs in at a stand-in
        )
    redshift.close()
    yield url
    server.stop()
