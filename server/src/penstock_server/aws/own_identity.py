"""The broker's own identity towards AWS: what boto3's default chain finds in this process."""

from __future__ import annotations

import boto3

from penstock_server.aws.clients import AwsClients


def clients_of_this_process(*, endpoint_url: str | None) -> AwsClients:
    """Give clients that act as the instance, task or pod role of this process; nothing is called yet."""
    return AwsClients(boto3.session.Session(), endpoint_url=endpoint_url)
