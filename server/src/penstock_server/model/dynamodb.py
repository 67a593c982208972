"""Tables of DynamoDB and what a session may do with their items."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from penstock_server.model.decision import PolicyVersion

MAX_KEY_BYTES: Final = 2_048
"""Longest value of a partition key, in bytes of UTF-8. AWS: DynamoDB developer guide, "Constraints"."""
MAX_ATTRIBUTE_CHARS: Final = 255
"""Longest name of an attribute that we write."""

_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+){1,2}-[0-9]{1,2}", re.ASCII)
_ACCOUNT: Final = re.compile(r"[0-9]{12}", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{3,255}", re.ASCII)
_ATTRIBUTE: Final = re.compile(rf"[A-Za-z0-9_.:#/-]{{1,{MAX_ATTRIBUTE_CHARS}}}", re.ASCII)


class DynamoDbPermission(StrEnum):
    """What a grant may give on items."""

    READ = "READ"
    WRITE = "WRITE"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class DynamoDbTarget:
    """A table, or one of its secondary indexes. Names compare exactly, as in DynamoDB."""

    region: str
    account: str
    table: str
    index: str | None

    def __str__(self) -> str:
        table = f"arn:aws:dynamodb:{self.region}:{self.account}:table/{self.table}"
        return table if self.index is None else f"{table}/index/{self.index}"

    def lies_in(self, other: DynamoDbTarget) -> bool:
        """Tell whether this is the other one, or an index of that table: an index holds copies of its items."""
        same = (self.region, self.account, self.table) == (other.region, other.account, other.table)
        return same and other.index in (None, self.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamoDbScope:
    """One permission on the items of one table or index.

    `leading_keys` are the values that the partition key (of the index, where it is one) may have, `attributes` the
    names that may be read; both sorted, never empty, None = all.
    """

    target: DynamoDbTarget
    permission: DynamoDbPermission
    leading_keys: tuple[str, ...] | None
    attributes: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamoDbDecision:
    """AWS credentials are allowed for these scopes; no two are of one target and one permission.

    `max_ttl` is the smallest bound that a used grant states, or None. `expires_at` bounds the credentials too.
    """

    scopes: tuple[DynamoDbScope, ...]
    grants: tuple[str, ...]
    max_ttl: timedelta | None
    expires_at: datetime | None
    policy_version: PolicyVersion


def parse_target(text: str) -> DynamoDbTarget:
    """Read the ARN of a table or an index: nothing is decoded or folded, and there are no wildcards.

    Raises:
        ValueError: it is none; the text goes well after the ARN in backticks.
    """
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[:3] != ["arn", "aws", "dynamodb"]:
        raise ValueError("is no `arn:aws:dynamodb:REGION:ACCOUNT:table/NAME`")
    _, _, _, region, account, resource = parts
    if any(character in text for character in "*?$"):
        raise ValueError("has a wildcard; name each table and each index")
    if _REGION.fullmatch(region) is None:
        raise ValueError("names no region, such as `eu-west-1`")
    if _ACCOUNT.fullmatch(account) is None:
        raise ValueError("names no account of twelve digits")
    table, index = _names(resource.split("/"))
    if not all(_NAME.fullmatch(name) for name in (table, index or table)):
        raise ValueError("has a name that DynamoDB does not accept: 3 to 255 of a-z, A-Z, 0-9, `_`, `-`, `.`")
    return DynamoDbTarget(region=region, account=account, table=table, index=index)


def _names(parts: list[str]) -> tuple[str, str | None]:
    match parts:
        case ["table", table]:
            return table, None
        case ["table", table, "index", index] if index:
            return table, index
        case ["table", _, kind, *_]:
            raise ValueError(f"names `{kind}` of a table; only items of tables and of indexes are given")
        case _:
            raise ValueError("is no `arn:aws:dynamodb:REGION:ACCOUNT:table/NAME`")


def is_attribute(text: str) -> bool:
    """Tell whether a text is the name of an attribute as we write them."""
    return _ATTRIBUTE.fullmatch(text) is not None


def why_no_key(text: str) -> str | None:
    """Say why a text cannot be a leading key in a session policy; None = it can.

    AWS: in a condition value `${` begins a policy variable, and evaluators differ on its escape there, so that such a
    value is refused instead of being written in one of two ways.
    """
    if not text:
        return "is empty"
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in text):
        return "holds a control character"
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        return "holds half a character"
    if "${" in text:
        return "holds `${`, which AWS would read as a policy variable"
    if len(text.encode()) > MAX_KEY_BYTES:
        return f"has more than {MAX_KEY_BYTES} bytes"
    return None
