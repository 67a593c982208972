"""Reads a requested S3 ARN: a name, or a prefix that ends in `/*`, of a general-purpose bucket.

Nothing is decoded, folded or collapsed: `%2F`, `//`, `..` and letters of either case stand for themselves, as they do
in S3. `${*}`, `${?}` and `${$}` are the literal characters, as in IAM; every other wildcard or variable is refused,
so that no text has two readings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from penstock_server.errors import InvalidRequest
from penstock_server.model.resource import S3Location

PARTITION = "aws"
MAX_KEY_BYTES = 1_024

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_ADDRESS = re.compile(r"[0-9]+(\.[0-9]+){3}", re.ASCII)
_OTHER_BUCKETS = (
    ("--x-s3", "a directory bucket"),
    ("--table-s3", "a table bucket"),
    ("--ol-s3", "an Object Lambda alias"),
    ("-s3alias", "an access point alias"),
    (".mrap", "a multi-Region access point alias"),
)
"""AWS: names with these endings are not general-purpose buckets; IAM cannot hold their sessions to a prefix."""
_OTHER_SERVICES = ("s3express", "s3tables", "s3-outposts", "s3-object-lambda")
_LITERALS = {"${*}": "*", "${?}": "?", "${$}": "$"}
_SHAPE = "must be `arn:aws:s3:::BUCKET/KEY` or `arn:aws:s3:::BUCKET/PREFIX/*`"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedArn:
    """One object (`exact`), or all keys that begin with `location.key`, which then is empty or ends in `/`.

    `text` is what the caller wrote.
    """

    text: str
    location: S3Location
    exact: bool


def parse_s3_arn(text: str, *, field: str) -> RequestedArn:
    """Read one requested ARN; `field` is its path in the request.

    Raises:
        InvalidRequest: it names nothing that this door serves; the rule says why.
    """
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in text):
        raise InvalidRequest(field, "must hold no control characters")
    bucket, slash, key = _resource(text, field).partition("/")
    _check_bucket(bucket, field)
    if not slash or not key:
        raise InvalidRequest(field, _SHAPE, hint=f"for a whole bucket write `arn:aws:s3:::{bucket}/*`")
    prefix = key == "*" or key.endswith("/*")
    literal = _literal(key[:-1] if prefix else key, field)
    _check_key(literal, field)
    return RequestedArn(text=text, location=S3Location(bucket=bucket, key=literal), exact=not prefix)


def _resource(text: str, field: str) -> str:
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn":
        raise InvalidRequest(field, _SHAPE)
    _, partition, service, region, account, resource = parts
    if service in _OTHER_SERVICES or (service == "s3" and (region or account)):
        raise InvalidRequest(field, "must name a general-purpose bucket itself, not an access point or another kind")
    if service != "s3":
        raise InvalidRequest(
            field,
            "must be an ARN of a service that is available in this version",
            hint="these are S3, DynamoDB, Kinesis, KMS, Redshift clusters, Athena and Glue",
        )
    if partition != PARTITION:
        raise InvalidRequest(field, "must be in the partition `aws`; others are not available in this version")
    return resource


def _check_bucket(bucket: str, field: str) -> None:
    if "*" in bucket or "?" in bucket or "$" in bucket:
        raise InvalidRequest(field, "must name one bucket, without wildcards")
    for ending, kind in _OTHER_BUCKETS:
        if bucket.endswith(ending):
            raise InvalidRequest(field, f"must name a general-purpose bucket, and `{ending}` is {kind}")
    if _BUCKET.fullmatch(bucket) is None or ".." in bucket or _ADDRESS.fullmatch(bucket) is not None:
        raise InvalidRequest(field, "must name a bucket: 3 to 63 of `a-z`, `0-9`, `.`, `-`")


def _literal(pattern: str, field: str) -> str:
    characters: list[str] = []
    position = 0
    while position < len(pattern):
        escaped = _LITERALS.get(pattern[position : position + 4])
        if escaped is not None:
            characters.append(escaped)
            position += 4
            continue
        character = pattern[position]
        if character in "*?":
            raise InvalidRequest(
                field, "must hold no wildcard but a closing `/*`", hint="write `${*}` and `${?}` for the characters"
            )
        # SECURITY: IAM would read `${aws:username}` as a variable; here it must not mean anything else than there.
        if pattern.startswith("${", position):
            raise InvalidRequest(field, "must hold no policy variable", hint="write `${$}` for the character `$`")
        characters.append(character)
        position += 1
    return "".join(characters)


def _check_key(key: str, field: str) -> None:
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise InvalidRequest(field, "must be valid Unicode text") from error
    if size > MAX_KEY_BYTES:
        raise InvalidRequest(field, f"must have a key of at most {MAX_KEY_BYTES} bytes in UTF-8")
