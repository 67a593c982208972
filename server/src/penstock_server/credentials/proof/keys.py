"""The condition keys that a proof knows, and what their values are.

Source: IAM user guide, "AWS global condition context keys"; service authorization reference, Amazon S3 and Amazon
DynamoDB (`ArrayOfString` keys are those of several texts).
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


class KeyKind(Enum):
    """What the value of a key is."""

    TEXT = auto()
    """One text, or nothing: the key may be absent from a request."""
    ELEMENTS = auto()
    """Several texts, or nothing."""
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
}


def kind_of(key: str) -> KeyKind | None:
    """Give the kind of a key whose name is in lower case; None = it is not known here."""
    return _KINDS.get(key)
