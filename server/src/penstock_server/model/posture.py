"""Whether the buckets behind grants are encrypted and private, as it was found a short while ago.

SECURITY: what is not known, or was found too long ago, is as if it were neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Requirement(StrEnum):
    """What a grant may ask of the bucket that its data lies in."""

    ENCRYPTED = "encrypted"
    """Whatever is written is encrypted at rest."""
    PRIVATE = "private"
    """Nobody has its objects by being anybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One requirement before one bucket. `met` None = it could not be found out; `why` is "" only where it is met."""

    requirement: Requirement
    met: bool | None
    why: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketPosture:
    """What was found of one bucket; `checked_at` is aware UTC. One finding for each requirement, in their order."""

    bucket: str
    checked_at: datetime
    findings: tuple[Finding, ...]

    def finding(self, requirement: Requirement) -> Finding:
        """Give what was found of one requirement."""
        return next(each for each in self.findings if each.requirement is requirement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Posture:
    """What is known of buckets; each is known until `max_age` after it was checked."""

    buckets: tuple[BucketPosture, ...]
    max_age: timedelta

    def of(self, bucket: str) -> BucketPosture | None:
        """Give what was found of a bucket, however long ago; None where nothing was."""
        return next((each for each in self.buckets if each.bucket == bucket), None)

    def meets(self, bucket: str, requirement: Requirement, *, at: datetime) -> bool:
        """Tell whether a bucket is known, at an instant, to meet a requirement."""
        found = self.of(bucket)
        if found is None or not found.checked_at <= at < found.checked_at + self.max_age:
            return False
        return found.finding(requirement).met is True

    def until(self, bucket: str) -> datetime | None:
        """Tell when what was found of a bucket ceases to be known; None where nothing was found."""
        found = self.of(bucket)
        return None if found is None else found.checked_at + self.max_age


NOTHING_KNOWN = Posture(buckets=(), max_age=timedelta(0))
"""Meets no requirement."""
