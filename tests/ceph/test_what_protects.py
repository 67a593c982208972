"""The checks of this suite notice builders that are wrong, and a fence that is missing."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable

import pytest
from penstock_server.credentials import fit
from support.ceph.requests import asked, differences, refused
from support.ceph.world import LAKE, Broker, World, open_to, session_principal
from support.s3_scopes import ACCOUNT
from support.weak_builders import MISTAKES

SALES = "arn:aws:s3:::acme-lake/sales/*"

SHOWN_ALONE = (
    "the slash of a prefix is lost",
    "the slash of a listed prefix is lost",
    "the whole bucket",
    "a common beginning of two prefixes",
    "a cross product of actions and prefixes",
    "the listings of two buckets are merged",
    "more is asked than is granted",
    "the parent of what is granted",
    "an object is a prefix",
)
"""Mistakes that also widen the fence, so that they show without any bucket policy."""

SHOWN_BESIDE_AN_OPEN_BUCKET = (
    "no fence",
    "no fence around actions",
    "no fence around resources",
    "no fence around listings",
)


def without_fence(policy: str) -> str:
    document = json.loads(policy)
    document["Statement"] = [each for each in document["Statement"] if each["Effect"] == "Allow"]
    return json.dumps(document)


def test_without_the_fence_a_bucket_open_to_the_session_is_open(world: World, broker: Broker) -> None:
    with world.altered(without_fence):
        session = broker.session("alice", SALES)
    s3 = world.s3(session)
    assert refused(world, s3, "s3:GetObject", LAKE, key="hr/salaries.csv")
    with world.bucket_policy(*open_to(session_principal(world.front.sent[-1]["RoleSessionName"]))):
        assert not refused(world, s3, "s3:GetObject", LAKE, key="hr/salaries.csv")
        assert not refused(world, s3, "s3:ListBucket", LAKE)
        fenced = world.s3(broker.session("alice", SALES))
        assert refused(world, fenced, "s3:GetObject", LAKE, key="hr/salaries.csv")
        assert refused(world, fenced, "s3:ListBucket", LAKE)


@pytest.mark.parametrize("name", SHOWN_ALONE)
def test_a_wrong_builder_shows(world: World, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert _allowed_too_much(world, monkeypatch, name, open_bucket=False)


@pytest.mark.parametrize("name", SHOWN_BESIDE_AN_OPEN_BUCKET)
def test_a_missing_fence_shows(world: World, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert _allowed_too_much(world, monkeypatch, name, open_bucket=True)


def _allowed_too_much(world: World, patch: pytest.MonkeyPatch, name: str, *, open_bucket: bool) -> list[str]:
    mistake = MISTAKES[name]

    def wrong(policy: str, seeds: Iterable[int]) -> list[str]:
        s3 = world.assumed(policy)
        principals = [session_principal("made-by-hand")] if open_bucket else []
        with world.bucket_policy(*open_to(*principals)):
            for seed in seeds:
                found = differences(world, s3, mistake.scopes, asked(random.Random(seed), mistake.scopes))
                if found:
                    return found
        return []

    assert wrong(fit.print_session_policy(mistake.scopes, ACCOUNT, None), range(1)) == []
    with patch.context() as broken:
        mistake.make(broken)
        policy = fit.print_session_policy(mistake.scopes, ACCOUNT, None)
    return [line for line in wrong(policy, range(12)) if line.startswith("allowed")]
