"""Addresses that an operator writes: where to listen, whom to call, where files live in S3."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from penstock_server.model.resource import S3Location

_LISTEN: Final = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^\[\]:]+)):([0-9]{1,5})", re.ASCII)
_MAX_PORT: Final = 65535
_S3: Final = re.compile(r"s3[an]?://([^/]*)(?:/(.*))?", re.IGNORECASE)
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_REGION: Final = re.compile(r"[a-z]{2,4}(-[a-z]+){1,3}-[0-9]{1,2}", re.ASCII)
_MAX_KEY_BYTES: Final = 1024

# AWS: suffixes that mark access point aliases, directory and table buckets (S3 user guide, bucket naming rules, 2026).
_SPECIAL_BUCKETS: Final = ("-s3alias", "--ol-s3", "--x-s3", "--table-s3", ".mrap")


def parse_listen(text: str) -> tuple[str, bool]:
    """Give HOST:PORT with HOST as an IP address (IPv6 in brackets), and whether HOST is a loopback address.

    `localhost` becomes 127.0.0.1. Port 0 takes any free port.

    Raises:
        ValueError: it has no such form; the text says which.
    """
    match = _LISTEN.fullmatch(text)
    if match is None or int(match[3]) > _MAX_PORT:
        raise ValueError("is no address; write IP:PORT, such as `127.0.0.1:50051` or `[::1]:50051`")
    host = "127.0.0.1" if match[2] == "localhost" else match[1] or match[2]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ValueError("names a host; write the IP address to listen on") from None
    if isinstance(address, ipaddress.IPv6Address):
        return f"[{address}]:{int(match[3])}", address.is_loopback
    return f"{address}:{int(match[3])}", address.is_loopback


def check_url(text: str) -> None:
    """Accept an https URL, or an http one whose host is a loopback address.

    Raises:
        ValueError: it is neither, or holds a user, a query or a fragment; the text says which.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is no URL") from None
    if not parts.hostname or any(character.isspace() for character in text):
        raise ValueError("is no URL; write `https://HOST/...`")
    if port == 0 or parts.username is not None or parts.query or parts.fragment or text.endswith(("?", "#")):
        raise ValueError("must be a plain URL: without user, query and fragment")
    if parts.scheme == "https":
        return
    # SECURITY: keys or tokens fetched over plain http can be replaced by anyone on the way.
    if parts.scheme != "http" or not is_loopback(parts.hostname):
        raise ValueError("must be https (http is accepted for a loopback address only)")


def is_loopback(host: str) -> bool:
    """Tell whether a host is a loopback address or `localhost`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_location(text: str) -> S3Location:
    """Give the bucket and key prefix of `s3://BUCKET/PREFIX`; the prefix is kept byte for byte.

    Raises:
        ValueError: it has no such form, or is no general-purpose bucket; the text says which.
    """
    match = _S3.fullmatch(text)
    if match is None:
        raise ValueError("is no S3 location; write `s3://BUCKET/PREFIX`")
    bucket, key = match[1], match[2] or ""
    check_bucket(bucket)
    if len(key.encode()) > _MAX_KEY_BYTES:
        raise ValueError(f"has a prefix of more than {_MAX_KEY_BYTES} bytes")
    return S3Location(bucket=bucket, key=key)


def check_region(text: str) -> None:
    """Accept the name of a region of AWS.

    Raises:
        ValueError: it has no such form.
    """
    if _REGION.fullmatch(text) is None:
        raise ValueError("is no region; write one such as `eu-west-1`")


def check_bucket(bucket: str) -> None:
    """Accept the name of a general-purpose bucket.

    Raises:
        ValueError: it is no such name; the text says why.
    Source: Amazon S3 User Guide, General purpose bucket naming rules.
    """
    if _BUCKET.fullmatch(bucket) is None or ".." in bucket:
        raise ValueError("names no bucket: 3 to 63 lower-case letters, digits, dots and hyphens")
    if bucket.endswith(_SPECIAL_BUCKETS):
        raise ValueError("is not a general-purpose bucket, which is all that this door serves")
