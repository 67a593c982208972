"""Which locations there are, and which buckets grants require something of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from penstock_server.model.resource import S3Location
from penstock_server.policy.bound import BoundPolicy
from penstock_server.policy.conditions.block import Block
from penstock_server.policy.conditions.posture import required
from penstock_server.policy.source import S3Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where data lies: `s3://BUCKET/KEY` of a catalog, or the ARN of a grant on S3 objects."""

    text: str
    bucket: str


def locations(catalogs: Iterable[S3Location], grants: Iterable[S3Grant]) -> tuple[Location, ...]:
    """Give the locations of catalogs and of grants on S3 objects, each once, sorted by text."""
    found = {
        *(Location(text=f"s3://{place.bucket}/{place.key}", bucket=place.bucket) for place in catalogs),
        *(Location(text=grant.pattern.text, bucket=grant.pattern.bucket) for grant in grants),
    }
    return tuple(sorted(found, key=lambda location: location.text))


def s3_grants(policy: BoundPolicy) -> tuple[S3Grant, ...]:
    """Give the grants on S3 objects, each once, by name."""
    found = {grant.name: grant for grants in policy.s3_grants.values() for grant in grants}
    return tuple(found[name] for name in sorted(found))


def required_buckets(policy: BoundPolicy) -> frozenset[str]:
    """Give the buckets of which some grant requires something."""
    return frozenset(
        found[1]
        for block in _blocks(policy)
        for condition in block.conditions
        if (found := required(condition)) is not None
    )


def _blocks(policy: BoundPolicy) -> Iterator[Block]:
    for named in policy.grants.values():
        for grants in named.values():
            yield from (grant.conditions for grant in grants if grant.conditions is not None)
    for s3 in policy.s3_grants.values():
        yield from (grant.conditions for grant in s3 if grant.conditions is not None)
