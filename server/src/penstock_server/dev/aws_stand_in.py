"""A stand-in for AWS on a loopback address: moto, with one bucket, one role and one Redshift cluster.

It shows that the broker's calls carry the right parameters. It never shows that AWS would deny something: moto checks
neither session policies nor trust policies, and says so wherever it is used.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import urllib.request
from types import TracebackType
from typing import Self

from moto.redshift.models import redshift_backends
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from penstock_server.errors import ConfigurationError

REGION = "us-east-1"
ACCOUNT = "123456789012"
BUCKET = "acme-lake"
CLUSTER = "analytics"
CREDENTIALS = (("AWS_ACCESS_KEY_ID", "stand-in"), ("AWS_SECRET_ACCESS_KEY", "stand-in"), ("AWS_DEFAULT_REGION", REGION))
"""Environment of a process that talks to the stand-in; it checks no signature."""


class AwsStandIn:
    """Serves the stand-in while the context is open."""

    def __init__(self, host: str, port: int) -> None:
        if not ipaddress.ip_address(host).is_loopback:
            raise ConfigurationError((f"the AWS stand-in listens on loopback addresses only, not on `{host}`",))
        # moto's own backend calls look for credentials in the environment of its process.
        os.environ.update(CREDENTIALS)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(ip_address=host, port=port, verbose=False)
        self._host = host

    @property
    def endpoint_url(self) -> str:
        """The URL to give to AWS clients."""
        return f"http://{self._host}:{self._server.get_host_and_port()[1]}"

    def __enter__(self) -> Self:
        self._server.start()
        # moto keeps its world for the life of the process; each stand-in begins with an empty one.
        reset = urllib.request.Request(f"{self.endpoint_url}/moto-api/reset", method="POST")  # noqa: S310 - loopback
        with urllib.request.urlopen(reset, timeout=10) as answer:  # noqa: S310 - the same address
            answer.read()
        objects = s3_backends[ACCOUNT]["aws"]
        objects.create_bucket(BUCKET, REGION)
        for key in ("exports/2013/summary.csv", "curated/nyc/flights.parquet"):
            objects.put_object(BUCKET, key, b"stand-in")
        redshift_backends[ACCOUNT][REGION].create_cluster(
            cluster_identifier=CLUSTER,
            node_type="ra3.large",
            master_username="admin",
            master_user_password="stand-in",  # noqa: S106 - nobody signs in at a stand-in
            db_name="prod",
            cluster_type="multi-node",
            cluster_security_groups=[],
            vpc_security_group_ids=[],
            cluster_subnet_group_name=None,
            availability_zone=f"{REGION}a",
            preferred_maintenance_window="Mon:03:00-Mon:03:30",
            cluster_parameter_group_name="default.redshift-1.0",
            automated_snapshot_retention_period=1,
            port=5439,
            cluster_version="1.0",
            allow_version_upgrade=True,
            number_of_nodes=2,
            publicly_accessible=False,
            encrypted=True,
            region_name=REGION,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()
