"""A session policy as Penstock sends it to AWS, in the words of radosgw 16.2: what it lacks, said otherwise.

Each rewriting keeps AWS's meaning for buckets of the one account that there is; `tests/ceph/differences.yaml` lists
them with the reasons. All else goes through untouched, so that a form which radosgw does not know shows in the tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

# What radosgw 16.2 calls the actions of S3.
_NAMES = (
    "AbortMultipartUpload BypassGovernanceRetention CreateBucket DeleteBucket DeleteBucketPolicy"
    " DeleteBucketPublicAccessBlock DeleteBucketWebsite DeleteObject DeleteObjectTagging DeleteObjectVersion"
    " DeleteObjectVersionTagging DeletePublicAccessBlock DeleteReplicationConfiguration DescribeJob"
    " GetAccelerateConfiguration GetBucketAcl GetBucketCORS GetBucketEncryption GetBucketLocation GetBucketLogging"
    " GetBucketNotification GetBucketObjectLockConfiguration GetBucketPolicy GetBucketPolicyStatus"
    " GetBucketPublicAccessBlock GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite"
    " GetLifecycleConfiguration GetObject GetObjectAcl GetObjectLegalHold GetObjectRetention GetObjectTagging"
    " GetObjectTorrent GetObjectVersion GetObjectVersionAcl GetObjectVersionTagging GetObjectVersionTorrent"
    " GetPublicAccessBlock GetReplicationConfiguration ListAllMyBuckets ListBucket ListBucketMultiPartUploads"
    " ListBucketVersions ListMultipartUploadParts PutAccelerateConfiguration PutBucketAcl PutBucketCORS"
    " PutBucketEncryption PutBucketLogging PutBucketNotification PutBucketObjectLockConfiguration PutBucketPolicy"
    " PutBucketPublicAccessBlock PutBucketRequestPayment PutBucketTagging PutBucketVersioning PutBucketWebsite"
    " PutLifecycleConfiguration PutObject PutObjectAcl PutObjectLegalHold PutObjectRetention PutObjectTagging"
    " PutObjectVersionAcl PutObjectVersionTagging PutPublicAccessBlock PutReplicationConfiguration RestoreObject"
)
ACTIONS = tuple(f"s3:{name}" for name in _NAMES.split())
AGAIN = "#again"
"""Ends the name of a key that is to stand twice in one condition; it is not sent."""
ACCOUNT_KEY = "aws:ResourceAccount"
PREFIX_KEY = "s3:prefix"


def for_radosgw(policy: str, account: str) -> str:
    """Rewrite a session policy; the result has no spaces between its elements."""
    document = json.loads(policy)
    rewritten = [each for statement in document["Statement"] for each in _statements(statement, account)]
    text = json.dumps({**document, "Statement": rewritten}, separators=(",", ":"))
    return text.replace(AGAIN, "")


def _statements(statement: dict[str, Any], account: str) -> Iterator[dict[str, Any]]:
    conditions = {operator: dict(keys) for operator, keys in statement.get("Condition", {}).items()}
    if statement["Effect"] == "Allow":
        _drop_account(conditions, "StringEquals", account)
    elif _drop_account(conditions, "StringNotEquals", account) and not conditions:
        return  # no request can be for another account, so this never denies
    _say_present_otherwise(conditions)
    _say_none_otherwise(conditions)
    if "NotAction" in statement:
        kept = statement["NotAction"]
        kept = (kept,) if isinstance(kept, str) else tuple(kept)
        rest = {name: value for name, value in statement.items() if name != "NotAction"}
        statement = {**rest, "Action": all_actions_but(kept)}
    yield _with(statement, conditions)
    # AWS: a negated operator holds of a request without the key.
    if statement["Effect"] == "Deny" and PREFIX_KEY in conditions.get("StringNotLike", {}):
        rest = {operator: keys for operator, keys in conditions.items() if operator != "StringNotLike"}
        yield _with(statement, {**rest, "Null": {PREFIX_KEY: "true"}})


def all_actions_but(kept: Sequence[str]) -> list[str]:
    """Give few patterns that match every action but these."""
    patterns: list[str] = []
    for action in ACTIONS:
        if action in kept or any(action.startswith(each.removesuffix("*")) for each in patterns if each[-1] == "*"):
            continue
        beginnings = (action[:length] for length in range(len("s3:") + 1, len(action) + 1))
        free = next((each for each in beginnings if not any(one.startswith(each) for one in kept)), None)
        patterns.append(action if free is None else f"{free}*")
    return patterns


def _drop_account(conditions: dict[str, dict[str, Any]], operator: str, account: str) -> bool:
    keys = conditions.get(operator, {})
    if keys.get(ACCOUNT_KEY) != account:
        return False
    del keys[ACCOUNT_KEY]
    if not keys:
        del conditions[operator]
    return True


def _say_present_otherwise(conditions: dict[str, dict[str, Any]]) -> None:
    nulls = conditions.get("Null", {})
    present = {key: "*" for key, absent in nulls.items() if absent == "false"}
    if present:
        conditions["StringLike"] = {**conditions.get("StringLike", {}), **present}
        conditions["Null"] = {key: absent for key, absent in nulls.items() if key not in present}
        if not conditions["Null"]:
            del conditions["Null"]


def _say_none_otherwise(conditions: dict[str, dict[str, Any]]) -> None:
    # AWS: a negated operator holds where no value matches; radosgw: where one of them does not.
    prefixes = conditions.get("StringNotLike", {}).get(PREFIX_KEY)
    if isinstance(prefixes, list):
        each_alone = {f"{PREFIX_KEY}{AGAIN * number}": prefix for number, prefix in enumerate(prefixes)}
        conditions["StringNotLike"] = {**conditions["StringNotLike"], **each_alone}


def _with(statement: dict[str, Any], conditions: dict[str, dict[str, Any]]) -> dict[str, Any]:
    rest = {name: value for name, value in statement.items() if name != "Condition"}
    return {**rest, "Condition": conditions} if conditions else rest
