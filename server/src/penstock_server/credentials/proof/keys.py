"""The condition keys that a proof knows, and what their values are.

Source: IAM user guide, "AWS global condition context keys"; service authorization reference, Amazon S3, Amazon
DynamoDB (`ArrayOfString` keys are those of several texts), AWS Key Management Service and Amazon Redshift Data API.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

CURRENT_TIME: Final = "aws:currenttime"
RESOURCE_ACCOUNT: Final = "aws:resourceaccount"
PREFIX: Final = "s3:prefix"
CUSTOMER_KEY: Final = "s3:x-amz-server-side-encryption-customer-algorithm"
"""Set where an object is written with a key of the writer's own."""
LEADING_KEYS: Final = "dynamodb:leadingkeys"
ATTRIBUTES: Final = "dynamodb:attributes"
SELECT: Final = "dynamodb:select"
VIA_SERVICE: Final = "kms:viaservice"
ENCRYPTION_CONTEXT: Final = "kms:encryptioncontext:"
"""Begins the key of one entry; AWS compares the rest without case too."""
STATEMENT_OWNER: Final = "redshift-data:statement-owner-iam-userid"
SESSION_OWNER: Final = "redshift-data:session-owner-iam-userid"
VIA_AWS_SERVICE: Final = "aws:viaawsservice"
OWNERS: Final = frozenset({STATEMENT_OWNER, SESSION_OWNER})
SELF: Final = "${aws:userid}"
"""The only value that an owner is compared with. It stands for one text in each request, here for itself."""


class KeyKind(Enum):
    """What the value of a key is."""

    TEXT = auto()
    """One text, or nothing: the key may be absent from a request."""
    ELEMENTS = auto()
    """Several texts, or nothing."""
    TRUTH = auto()
    """`true` or `false`, or nothing."""
    INSTANT = auto()
    """An instant. AWS: aws:CurrentTime is in the context of every request."""


_KINDS: Final = {
    CURRENT_TIME: KeyKind.INSTANT,
    RESOURCE_ACCOUNT: KeyKind.TEXT,
    PREFIX: KeyKind.TEXT,
    CUSTOMER_KEY: KeyKind.TEXT,
    LEADING_KEYS: KeyKind.ELEMENTS,
    ATTRIBUTES: KeyKind.ELEMENTS,
    SELECT: KeyKind.TEXT,
    VIA_SERVICE: KeyKind.TEXT,
    STATEMENT_OWNER: KeyKind.TEXT,
    SESSION_OWNER: KeyKind.TEXT,
    VIA_AWS_SERVICE: KeyKind.TRUTH,
}


def kind_of(key: str) -> KeyKind | None:
    """Give the kind of a key whose name is in lower case; None = it is not known here."""
    if key.startswith(ENCRYPTION_CONTEXT) and key != ENCRYPTION_CONTEXT:
        return KeyKind.TEXT
    return _KINDS.get(key)
