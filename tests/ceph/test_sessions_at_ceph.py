"""What sessions that Penstock issues can do at a real S3: what they should, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from penstock.errors import AccessDenied
from penstock_server.credentials.fit import print_session_policy
from penstock_server.credentials.names import stable_name_of
from support.ceph.requests import CALLS, refused
from support.ceph.world import LAKE, OTHER, Broker, World, open_to, s3_client, session_principal
from support.s3_scopes import ACCOUNT
from support.server import wait_until
from support.tokens import ISSUER
from support.weak_builders import scope

SALES = "arn:aws:s3:::acme-lake/sales/*"
EXPORTS = "arn:aws:s3:::acme-lake/exports/alice/*"
KEPT = "arn:aws:s3:::acme-lake2/kept/*"
HR = "arn:aws:s3:::acme-lake/hr/*"

OUTSIDE = (
    "sales-secret/plan.txt",
    "sales",
    "sales.csv",
    "Sales/2026/one.csv",
    "hr/salaries.csv",
    "exports/bob/out.csv",
)
READING = {"s3:GetObject", "HeadObject", "s3:ListBucket"}
PREFIXES = (None, "", "s", "sales", "sales-secret/", "hr/", "Sales/")
SURROUNDINGS = ("alone", "beside a bucket open to everybody", "beside a bucket open to the very session")
PEOPLE = session_principal(*(stable_name_of(ISSUER, name) for name in ("alice", "bob")))


@pytest.fixture(params=SURROUNDINGS)
def beside(request: pytest.FixtureRequest, world: World) -> Iterator[str]:
    """Each test runs alone, and beside bucket policies that allow `s3:*`."""
    surroundings = str(request.param)
    principals: dict[str, list[Any]] = {SURROUNDINGS[0]: [], SURROUNDINGS[1]: ["*"], SURROUNDINGS[2]: [PEOPLE]}
    if not principals[surroundings]:
        yield surroundings
        return
    with (
        world.bucket_policy(*open_to(*principals[surroundings])),
        world.bucket_policy(*open_to(*principals[surroundings], bucket=OTHER), bucket=OTHER),
    ):
        yield surroundings


@pytest.mark.usefixtures("beside")
def test_what_is_granted_is_read_and_listed(world: World, broker: Broker) -> None:
    s3 = world.s3(broker.session("alice", SALES, access=("read", "list")))
    listed = s3.list_objects_v2(Bucket=LAKE, Prefix="sales/")["Contents"]
    names = [each["Key"] for each in listed]
    assert names == ["sales/2026/one.csv", "sales/2026/two.csv", "sales/notes.txt"]
    assert [s3.get_object(Bucket=LAKE, Key=name)["Body"].read().decode() for name in names] == names


@pytest.mark.usefixtures("beside")
def test_everything_outside_what_is_granted_is_refused(world: World, broker: Broker) -> None:
    s3 = world.s3(broker.session("alice", SALES, access=("read", "list")))
    allowed = [
        (action, key)
        for action in sorted(set(CALLS) - {"s3:ListBucket", "s3:ListBucketVersions"})
        for key in OUTSIDE
        if not refused(world, s3, action, LAKE, key=key)
    ]
    assert allowed == []


@pytest.mark.usefixtures("beside")
def test_what_was_not_asked_for_is_refused_inside_too(world: World, broker: Broker) -> None:
    s3 = world.s3(broker.session("alice", SALES, access=("read", "list")))
    left = sorted(set(CALLS) - READING)
    assert [each for each in left if not refused(world, s3, each, LAKE, key="sales/notes.txt", prefix="sales/")] == []


@pytest.mark.usefixtures("beside")
def test_a_listing_without_its_whole_prefix_is_refused(world: World, broker: Broker) -> None:
    s3 = world.s3(broker.session("alice", SALES, access=("read", "list")))
    assert [each for each in PREFIXES if not refused(world, s3, "s3:ListBucket", LAKE, prefix=each)] == []


@pytest.mark.usefixtures("beside")
def test_another_bucket_is_refused(world: World, broker: Broker) -> None:
    s3 = world.s3(broker.session("alice", SALES, access=("read", "list")))
    allowed = [
        action
        for action in sorted(CALLS)
        if not refused(world, s3, action, OTHER, key="sales/2026/one.csv", prefix="sales/")
    ]
    assert allowed == []


@pytest.mark.usefixtures("beside")
def test_one_persons_session_does_not_reach_what_is_anothers(world: World, broker: Broker) -> None:
    alice = world.s3(broker.session("alice", SALES))
    bob = world.s3(broker.session("bob", HR, access=("read", "list")))
    assert not refused(world, bob, "s3:GetObject", LAKE, key="hr/salaries.csv")
    assert refused(world, alice, "s3:GetObject", LAKE, key="hr/salaries.csv")
    assert refused(world, bob, "s3:GetObject", LAKE, key="sales/notes.txt")
    with pytest.raises(AccessDenied):
        broker.session("bob", SALES)


@pytest.mark.usefixtures("beside")
def test_an_upload_in_parts_works_where_writing_is_granted(world: World, broker: Broker) -> None:
    s3 = world.s3(broker.session("alice", EXPORTS, access=("write", "read")))
    upload = s3.create_multipart_upload(Bucket=LAKE, Key="exports/alice/big.bin")["UploadId"]
    parts: list[Any] = []
    for number, body in enumerate((b"a" * 5 * 2**20, b"end"), start=1):
        done = s3.upload_part(Bucket=LAKE, Key="exports/alice/big.bin", UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": done["ETag"]})
    assert len(s3.list_parts(Bucket=LAKE, Key="exports/alice/big.bin", UploadId=upload)["Parts"]) == 2
    s3.complete_multipart_upload(
        Bucket=LAKE, Key="exports/alice/big.bin", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    assert s3.get_object(Bucket=LAKE, Key="exports/alice/big.bin")["ContentLength"] == 5 * 2**20 + 3
    for action in ("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectAcl", "s3:PutObjectTagging"):
        assert refused(world, s3, action, LAKE, key="exports/alice/big.bin"), action
    for key in ("exports/alice.csv", "exports/bob/out.csv", "exports/alice"):
        assert refused(world, s3, "s3:PutObject", LAKE, key=key), key
        assert refused(world, s3, "s3:AbortMultipartUpload", LAKE, key=key), key


def test_older_versions_are_read_only_where_that_is_granted(world: World, broker: Broker) -> None:
    enabled: Any = {"Status": "Enabled"}
    world.owner.put_bucket_versioning(Bucket=OTHER, VersioningConfiguration=enabled)
    versions = [
        world.owner.put_object(Bucket=OTHER, Key=key, Body=body)["VersionId"]
        for key in ("kept/a.txt", "other/a.txt")
        for body in (b"old", b"new")
    ]
    s3 = world.s3(broker.session("alice", KEPT, access=("read", "list")))
    old = s3.get_object(Bucket=OTHER, Key="kept/a.txt", VersionId=versions[0])["Body"].read()
    assert old == b"old"
    assert len(s3.list_object_versions(Bucket=OTHER, Prefix="kept/")["Versions"]) == 2
    for call in (
        lambda: s3.get_object(Bucket=OTHER, Key="other/a.txt", VersionId=versions[2]),
        lambda: s3.list_object_versions(Bucket=OTHER),
        lambda: s3.list_object_versions(Bucket=OTHER, Prefix="other/"),
        lambda: s3.delete_object(Bucket=OTHER, Key="kept/a.txt", VersionId=versions[0]),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            call()
    world.owner.put_bucket_versioning(Bucket=OTHER, VersioningConfiguration={"Status": "Suspended"})


def test_a_session_without_its_token_or_with_another_is_refused(world: World, broker: Broker) -> None:
    session = broker.session("alice", SALES)
    token = session.session_token
    for broken in (None, token[:-8] + "AAAAAAA=", token[:40] + ("A" if token[40] != "A" else "B") + token[41:]):
        s3 = s3_client(world.cluster, session.access_key_id, session.secret_access_key, session_token=broken)
        with pytest.raises(ClientError) as caught:
            s3.get_object(Bucket=LAKE, Key="sales/notes.txt")
        assert 400 <= caught.value.response["ResponseMetadata"]["HTTPStatusCode"] < 500


def test_a_session_ends_where_its_policy_closes_it(world: World) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=8)
    policy = print_session_policy((scope("sales/"),), ACCOUNT, ends)
    s3 = world.assumed(policy)
    assert not refused(world, s3, "s3:GetObject", LAKE, key="sales/notes.txt")
    assert datetime.now(UTC) < ends, "the machine was too slow to see the session before its end"
    wait_until(
        lambda: refused(world, s3, "s3:GetObject", LAKE, key="sales/notes.txt"), seconds=60, what="the session is over"
    )
    assert datetime.now(UTC) >= ends


def test_a_session_ends_when_its_role_is_stripped(world: World, broker: Broker) -> None:
    s3 = world.s3(broker.session("alice", SALES))
    assert not refused(world, s3, "s3:GetObject", LAKE, key="sales/notes.txt")
    world.allow_role(False)
    try:
        assert refused(world, s3, "s3:GetObject", LAKE, key="sales/notes.txt")
    finally:
        world.allow_role(True)


def test_the_session_is_named_after_its_person_and_nobody_else(world: World, broker: Broker) -> None:
    broker.session("bob", HR)
    sent = world.front.sent[-1]
    assert sent["RoleSessionName"] == stable_name_of(ISSUER, "bob")
    assert sent["SourceIdentity"] == sent["RoleSessionName"]
    assert re.fullmatch(r"[0-9a-f]{32}", sent["Tags.member.1.Value"])
