"""KMS: what a session may do with a key, by which service, and under which encryption context.

| permission | actions |
|---|---|
| DECRYPT | Decrypt |
| ENCRYPT | Encrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext |

Each only where `kms:ViaService` is one of the services that the grant names and every entry of its encryption context
is there with its value; a grant has at least one of both. With S3 in the same session the service asks for the caller:
reading needs DECRYPT, writing ENCRYPT, and an upload in parts both. Never: CreateGrant (it gives the key to others and
outlives the session), ReEncrypt, DescribeKey, aliases, which move from key to key.

Condition values are compared as they stand, with case; the names in an encryption context without. A request may have
more entries in its context than the grant names. With S3 the context is the ARN of the object, or that of the bucket
where it has a bucket key, under `aws:s3:arn`.

Source: AWS service authorization reference, AWS Key Management Service; KMS developer guide, "AWS KMS condition keys";
S3 user guide, "Using server-side encryption with AWS KMS keys".
"""

from __future__ import annotations

from typing import Final

from penstock_server.credentials.scopes.named_resources import KeyRule, Reach
from penstock_server.credentials.session_policy import Pattern
from penstock_server.model.services import Limit, ServicePermission, ServiceScope

_ACTIONS: Final = {
    ServicePermission.DECRYPT: ("kms:Decrypt",),
    ServicePermission.ENCRYPT: ("kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"),
}
_CONTEXT: Final = "context:"


def reaches(scope: ServiceScope) -> tuple[Reach, ...]:
    """Give what a scope reaches."""
    rules = tuple(_rule(limit) for limit in scope.limits)
    return (Reach(actions=_ACTIONS[scope.permission], resources=(Pattern(str(scope.target)),), rules=rules),)


def _rule(limit: Limit) -> KeyRule:
    key = "kms:ViaService"
    if limit.name.startswith(_CONTEXT):
        key = f"kms:EncryptionContext:{limit.name.removeprefix(_CONTEXT)}"
    # AWS: in StringEquals `*` and `?` are characters; values that hold `${` were refused when they were decided.
    return KeyRule(key=key, values=tuple(map(Pattern, limit.values)))
