"""The requests of `support.s3_scopes` as real calls of boto3, and what radosgw says to each."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from penstock_server.model.decision import S3Scope

from support.ceph.world import World
from support.s3_scopes import ACCOUNT, Probe, meant, probes

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Call = Callable[["S3Client", str, str, str | None], object]
"""Makes the request with a client: bucket, key, prefix (for parts of an upload: its id)."""

MAX_KEY_BYTES = 1024
OPEN = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*",'
    '"Resource":["arn:aws:s3:::*"]}]}'
)

UPLOADS = frozenset({"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"})
"""radosgw looks for the upload before it authorises, so these need one that is under way."""

CALLS: Mapping[str, Call] = {
    "s3:GetObject": lambda s3, bucket, key, _: s3.get_object(Bucket=bucket, Key=key)["Body"].read(),
    "s3:GetObjectVersion": lambda s3, bucket, key, _: s3.get_object(Bucket=bucket, Key=key, VersionId="null"),
    "s3:PutObject": lambda s3, bucket, key, _: s3.put_object(Bucket=bucket, Key=key, Body=b"changed"),
    "s3:DeleteObject": lambda s3, bucket, key, _: s3.delete_object(Bucket=bucket, Key=key),
    "s3:AbortMultipartUpload": lambda s3, bucket, key, upload: s3.abort_multipart_upload(
        Bucket=bucket, Key=key, UploadId=str(upload)
    ),
    "s3:ListMultipartUploadParts": lambda s3, bucket, key, upload: s3.list_parts(
        Bucket=bucket, Key=key, UploadId=str(upload)
    ),
    "s3:ListBucket": lambda s3, bucket, _, prefix: s3.list_objects_v2(Bucket=bucket, **_prefix(prefix)),
    "s3:ListBucketVersions": lambda s3, bucket, _, prefix: s3.list_object_versions(Bucket=bucket, **_prefix(prefix)),
    "s3:ListBucketMultipartUploads": lambda s3, bucket, _, __: s3.list_multipart_uploads(Bucket=bucket),
    "s3:GetObjectAcl": lambda s3, bucket, key, _: s3.get_object_acl(Bucket=bucket, Key=key),
    "s3:PutObjectAcl": lambda s3, bucket, key, _: s3.put_object_acl(Bucket=bucket, Key=key, ACL="public-read"),
    "s3:GetObjectTagging": lambda s3, bucket, key, _: s3.get_object_tagging(Bucket=bucket, Key=key),
    "s3:PutObjectTagging": lambda s3, bucket, key, _: s3.put_object_tagging(
        Bucket=bucket, Key=key, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}
    ),
    "s3:DeleteObjectVersion": lambda s3, bucket, key, _: s3.delete_object(Bucket=bucket, Key=key, VersionId="null"),
    "s3:GetBucketPolicy": lambda s3, bucket, _, __: s3.get_bucket_policy(Bucket=bucket),
    "s3:DeleteBucketPolicy": lambda s3, bucket, _, __: s3.delete_bucket_policy(Bucket=bucket),
    "s3:GetBucketAcl": lambda s3, bucket, _, __: s3.get_bucket_acl(Bucket=bucket),
    "s3:GetBucketVersioning": lambda s3, bucket, _, __: s3.get_bucket_versioning(Bucket=bucket),
    "s3:GetLifecycleConfiguration": lambda s3, bucket, _, __: s3.get_bucket_lifecycle_configuration(Bucket=bucket),
    "s3:PutBucketPolicy": lambda s3, bucket, _, __: s3.put_bucket_policy(Bucket=bucket, Policy=OPEN),
    "s3:DeleteBucket": lambda s3, bucket, _, __: s3.delete_bucket(Bucket=bucket),
    "HeadBucket": lambda s3, bucket, _, __: s3.head_bucket(Bucket=bucket),
    "HeadObject": lambda s3, bucket, key, _: s3.head_object(Bucket=bucket, Key=key),
}
"""By IAM action, and two calls that are authorised as another action."""


def _prefix(prefix: str | None) -> dict[str, Any]:
    return {} if prefix is None else {"Prefix": prefix}


def refused(
    world: World, s3: S3Client, action: str, bucket: str, *, key: str | None = None, prefix: str | None = None
) -> bool:
    """Tell whether radosgw refuses; the object of that key exists before and after."""
    if key is not None:
        world.fill(bucket, [key])
    if action in UPLOADS and key is not None:
        with _upload(world, bucket, key) as upload:
            return _refused(s3, action, bucket, key, upload)
    return _refused(s3, action, bucket, key or "", prefix)


def _refused(s3: S3Client, action: str, bucket: str, key: str, prefix: str | None) -> bool:
    try:
        CALLS[action](s3, bucket, key, prefix)
    except ClientError as error:
        status = int(error.response["ResponseMetadata"]["HTTPStatusCode"])
        if status == 403:
            return True
        raise AssertionError(f"{action} {bucket} {key!r} {prefix!r}: {error}") from error
    return False


@contextmanager
def _upload(world: World, bucket: str, key: str) -> Iterator[str]:
    upload = world.owner.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    yield upload
    # Quick either way: an upload that is gone already is no error to its owner.
    with suppress(ClientError):
        world.owner.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)


def differences(world: World, s3: S3Client, scopes: Sequence[S3Scope], probes: Sequence[Probe]) -> list[str]:
    """Give the requests of which radosgw and the model think differently, each as a line of text."""
    found = []
    for probe in probes:
        allowed = not refused(world, s3, probe.action, probe.bucket, key=probe.key, prefix=probe.prefix)
        if allowed != meant(scopes, probe):
            where = repr(probe.key) if probe.key is not None else f"prefix {probe.prefix!r}"
            found.append(f"{'allowed' if allowed else 'refused'}: {probe.action} {probe.bucket} {where}")
    return found


def asked(source: random.Random, scopes: Sequence[S3Scope]) -> list[Probe]:
    """Give requests in, beside and far from the scopes, of those that can be made here."""
    return [
        each
        for each in probes(source, scopes)
        if each.action in CALLS
        and each.account == ACCOUNT
        and not each.customer_key
        and len((each.key or "").encode()) <= MAX_KEY_BYTES
    ]
