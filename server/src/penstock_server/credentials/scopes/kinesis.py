"""Kinesis: what a session may do with streams and their consumers.

READ of a stream = DescribeStream, DescribeStreamSummary, GetRecords, GetShardIterator, ListShards; of a consumer =
DescribeStreamConsumer, SubscribeToShard. WRITE of a stream = PutRecord, PutRecords.

A consumer is named whole, with the time in its ARN, and is not covered by its stream: SubscribeToShard goes on for
five minutes after the session that began it was revoked, which reading a stream does not. Never: listing streams or
consumers (they name what is there), registering consumers, everything that changes a stream.

Source: AWS service authorization reference, Amazon Kinesis Data Streams; Kinesis API reference, SubscribeToShard.
"""

from __future__ import annotations

from typing import Final

from penstock_server.credentials.scopes.named_resources import Reach
from penstock_server.credentials.session_policy import Pattern
from penstock_server.model.services import ServicePermission, ServiceScope

_READ: Final = (
    "kinesis:DescribeStream",
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
)
_SUBSCRIBED: Final = ("kinesis:DescribeStreamConsumer", "kinesis:SubscribeToShard")
_WRITE: Final = ("kinesis:PutRecord", "kinesis:PutRecords")


def reaches(scope: ServiceScope) -> tuple[Reach, ...]:
    """Give what a scope reaches."""
    read = _SUBSCRIBED if "/consumer/" in scope.target.name else _READ
    actions: tuple[str, ...] = _WRITE if scope.permission is ServicePermission.WRITE else read
    return (Reach(actions=actions, resources=(Pattern(str(scope.target)),)),)
