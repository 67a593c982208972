"""Generated grants with hostile names: what radosgw allows a session is what the model allows, request by request."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import yaml
from penstock.errors import LimitExceeded, Unavailable
from penstock_server.credentials.scopes.s3 import arn_of
from penstock_server.model.decision import S3Scope
from penstock_server.model.resource import S3Permission
from support.ceph.requests import asked, differences
from support.ceph.world import Broker, World, open_to, running_broker, session_principal
from support.s3_scopes import BUCKETS, random_scopes
from support.weak_builders import scope

PEOPLE = 200
REQUESTS = 8
READ, LIST, WRITE = S3Permission.READ, S3Permission.LIST, S3Permission.WRITE
VERSIONS, DELETE = S3Permission.VERSIONS, S3Permission.DELETE
GIVEN = ((READ,), (LIST,), (READ, LIST), (WRITE,), (READ, LIST, VERSIONS), (READ, LIST, WRITE, DELETE), (READ, WRITE))
HOSTILE = (
    scope("b\u00fccher/", READ, LIST),
    scope("\u4e2d\u6587/\U0001f600/", READ, LIST),
    scope("../", READ, LIST),
    scope("a/../b/", READ, LIST),
    scope("a//", READ, LIST),
    scope("/", READ, LIST),
    scope("sp ace+plus%2F/", READ, LIST),
    scope("quo\"te\\'/", READ, LIST),
    scope("k" * 1000 + "/", READ),
    scope("k" * 1023 + "e", READ),
    scope("*/", READ, LIST),
    scope("?/", READ, LIST),
    scope("$/", READ, LIST),
    scope("${aws:username}/", READ, LIST),
    scope("${*}/", READ, LIST),
)
ESCAPED = frozenset("*?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with a few grants, all with the same permissions."""

    name: str
    scopes: tuple[S3Scope, ...]

    @property
    def access(self) -> tuple[str, ...]:
        """All that they may ask for."""
        return tuple(each.value.lower() for each in (READ, LIST, WRITE) if each in self.scopes[0].permissions)

    @property
    def is_escaped(self) -> bool:
        """Whether a name has a character that radosgw cannot read escaped."""
        return any(ESCAPED & set(each.location.key) for each in self.scopes)


def people() -> Iterator[Person]:
    """Generated people, and one for each hostile name."""
    source = random.Random(20261124)
    for number in range(PEOPLE):
        permissions = frozenset(GIVEN[number % len(GIVEN)])
        # One object cannot be listed alone, so that where only listing is given all are prefixes.
        scopes = tuple(
            replace(each, permissions=permissions)
            for each in random_scopes(source, most=2)
            if not (each.exact and LIST in permissions) and each.location.key
        )
        if scopes:
            yield Person(name=f"person-{number}", scopes=scopes)
    for number, each in enumerate(HOSTILE):
        yield Person(name=f"hostile-{number}", scopes=(each,))


EVERYBODY = tuple(people())


def policy() -> str:
    grants = [
        {
            "name": f"{person.name}-{number}",
            "principals": [f"user:{person.name}"],
            "resource": arn_of(each),
            "permissions": sorted(one.value for one in each.permissions),
        }
        for person in EVERYBODY
        for number, each in enumerate(person.scopes)
    ]
    return str(yaml.safe_dump({"version": 1, "grants": grants}))


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of all people."""

    requests: int = 0
    too_large: int = 0
    unreadable: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def generated(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(tmp_path_factory.mktemp("generated"), world, policy()) as running:
        yield running


@pytest.mark.parametrize("open_bucket", [False, True], ids=["alone", "beside buckets open to the session"])
def test_radosgw_allows_exactly_what_the_model_allows(world: World, generated: Broker, open_bucket: bool) -> None:
    source = random.Random(7)
    outcome = Outcome()
    for person in EVERYBODY:
        _try(world, generated, person, source, outcome, open_bucket=open_bucket)
    print(f"\n{len(EVERYBODY)} people: {outcome}")  # noqa: T201 - the figures of the run
    assert outcome.wrong == []
    assert outcome.requests > 4 * len(EVERYBODY)
    assert outcome.too_large + len(outcome.unreadable) < len(EVERYBODY) / 2


def _try(
    world: World, broker: Broker, person: Person, source: random.Random, outcome: Outcome, *, open_bucket: bool
) -> None:
    resources = [arn_of(each) for each in person.scopes]
    try:
        session = broker.session(person.name, *resources, access=person.access)
    except LimitExceeded:
        outcome.too_large += 1
        return
    except Unavailable:
        outcome.unreadable.append(person.name)  # radosgw takes no session for this policy: nothing can be asked
        return
    every = asked(source, person.scopes)
    probes = source.sample(every, min(REQUESTS, len(every)))
    principals = [session_principal(world.front.sent[-1]["RoleSessionName"])] if open_bucket else []
    buckets = sorted({probe.bucket for probe in probes})
    statements: Mapping[str, list[Mapping[str, object]]] = {
        bucket: list(open_to(*principals, bucket=bucket)) for bucket in BUCKETS
    }
    for bucket in buckets:
        here = [probe for probe in probes if probe.bucket == bucket]
        with world.bucket_policy(*statements[bucket], bucket=bucket):
            found = differences(world, world.s3(session), person.scopes, here)
        outcome.requests += len(here)
        outcome.wrong += [f"{person.name} {line}" for line in found if _counts(person, line)]


def _counts(person: Person, line: str) -> bool:
    """radosgw refuses what needs an escape, and takes the letters of one for its name."""
    if not person.is_escaped:
        return True
    return line.startswith("allowed") and "${" not in line


def test_the_differences_are_told_with_their_reasons() -> None:
    listed = yaml.safe_load((Path(__file__).parent / "differences.yaml").read_text())
    assert len({each["id"] for each in listed}) == len(listed)
    for each in listed:
        assert {"id", "aws", "radosgw", "handled"} <= set(each) <= {"id", "aws", "radosgw", "handled", "how"}
        assert each["handled"] in {"rewritten", "refused"}
        assert ("how" in each) == (each["handled"] == "rewritten")
