from __future__ import annotations

import pytest
from penstock_server.config.addresses import check_url, parse_listen, parse_location
from penstock_server.config.shared_issuers import missing_claim
from penstock_server.model.resource import S3Location


@pytest.mark.parametrize(
    ("text", "address", "loopback"),
    [
        ("127.0.0.1:50051", "127.0.0.1:50051", True),
        ("127.9.9.9:1", "127.9.9.9:1", True),
        ("localhost:1", "127.0.0.1:1", True),
        ("[::1]:1", "[::1]:1", True),
        ("0.0.0.0:0", "0.0.0.0:0", False),
        ("10.0.0.1:1", "10.0.0.1:1", False),
        ("[::]:1", "[::]:1", False),
        ("[2001:db8::1]:65535", "[2001:db8::1]:65535", False),
    ],
)
def test_an_address_is_read_with_whether_it_is_loopback(text: str, address: str, loopback: bool) -> None:
    assert parse_listen(text) == (address, loopback)


@pytest.mark.parametrize(
    "text",
    [
        *("", ":1", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:1\n", "127.0.0.1:\u0661"),
        *("::1:1", "[::1]", "[127.0.0.1]x:1", "[::1%lo]:1", "0127.0.0.1:1", "127.1:1", "2130706433:1"),
        *("localhost.evil.test:1", "*:1", "unix:/tmp/x"),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no address|names a host"):
        parse_listen(text)


@pytest.mark.parametrize(
    "url",
    ["https://login.test", "https://login.test:8443/a/b", "http://127.0.0.1:5/x", "http://[::1]:5", "http://localhost"],
)
def test_https_and_loopback_urls_are_accepted(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        *("", "login.test", "ftp://login.test", "file:///etc/passwd", "https://", "https://a b"),
        *("http://login.test", "http://127.0.0.1.evil.test", "http://2130706433/", "http://localhost.test"),
        *("https://u:p@login.test", "https://@login.test", "https://login.test/?x=1", "https://login.test/#x"),
        *("https://login.test/?", "https://login.test:0", "https://login.test:99999", "https://[::1"),
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"is no URL|must be"):
        check_url(url)


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("s3://acme-lake", S3Location(bucket="acme-lake", key="")),
        ("s3://acme-lake/", S3Location(bucket="acme-lake", key="")),
        ("S3N://acme.lake/a//b/../c%20d/", S3Location(bucket="acme.lake", key="a//b/../c%20d/")),
    ],
)
def test_a_location_keeps_its_prefix_byte_for_byte(text: str, location: S3Location) -> None:
    assert parse_location(text) == location


@pytest.mark.parametrize(
    "text",
    [
        *("", "s3:/acme-lake", "s4://acme-lake", "https://acme-lake", "s3://", "s3://ab", "s3://Acme-Lake"),
        *("s3://acme..lake", "s3://-acme", "s3://acme_lake", "s3://" + "a" * 64, "s3://acme-lake/" + "k" * 1025),
        *("s3://x--euw1-az1--x-s3/", "s3://point-s3alias/", "s3://x--table-s3/", "s3://x.mrap/", "s3://x--ol-s3"),
    ],
)
def test_other_locations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"S3 location|names no bucket|general-purpose|more than 1024 bytes"):
        parse_location(text)


@pytest.mark.parametrize(
    ("issuer", "required", "needs"),
    [
        ("https://accounts.google.com", set(), True),
        ("accounts.google.com", {"sub"}, True),
        ("https://accounts.google.com", {"hd"}, False),
        ("https://token.actions.githubusercontent.com", set(), True),
        ("https://token.actions.githubusercontent.com/acme", set(), True),
        ("https://token.actions.githubusercontent.com", {"repository_id"}, False),
        ("https://gitlab.com", set(), True),
        ("https://login.microsoftonline.com/common/v2.0", set(), True),
        ("https://sts.windows.net/organizations/", {"sub"}, True),
        ("https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0", set(), True),
        ("https://login.microsoftonline.com/00000000-0000-0000-0000-000000000001/v2.0", set(), False),
        ("https://oidc.eks.eu-west-1.amazonaws.com/id/ABC", set(), True),
        ("https://container.googleapis.com/v1/projects/p/locations/l/clusters/c", set(), True),
        ("https://login.example.com", set(), False),
    ],
)
def test_an_issuer_shared_by_strangers_needs_a_claim(issuer: str, required: set[str], needs: bool) -> None:
    assert bool(missing_claim(issuer, frozenset(required))) is needs
