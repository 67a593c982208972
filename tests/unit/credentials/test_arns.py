from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from penstock_server.credentials.arns import parse_s3_arn
from penstock_server.credentials.session_policy import literal
from penstock_server.errors import InvalidRequest

B = "arn:aws:s3:::acme-lake"


def rule_of(text: str) -> str:
    with pytest.raises(InvalidRequest) as refused:
        parse_s3_arn(text, field="resources[0]")
    (violation,) = refused.value.fields
    assert violation.field == "resources[0]"
    return violation.rule


@pytest.mark.parametrize(
    ("text", "key", "exact"),
    [
        (f"{B}/finance/*", "finance/", False),
        (f"{B}/*", "", False),
        (f"{B}/finance/a.csv", "finance/a.csv", True),
        (f"{B}/finance/", "finance/", True),
        (f"{B}//*", "/", False),
        (f"{B}/a//b/*", "a//b/", False),
        (f"{B}/a/../hr/*", "a/../hr/", False),
        (f"{B}/FINANCE/*", "FINANCE/", False),
        (f"{B}/a%2Fb/*", "a%2Fb/", False),
        (f"{B}/a%2A", "a%2A", True),
        (f"{B}/a:b:c/*", "a:b:c/", False),
        (f"{B}/${{*}}/*", "*/", False),
        (f"{B}/x/${{*}}", "x/*", True),
        (f"{B}/${{?}}${{$}}{{aws:username}}", "?${aws:username}", True),
        (f"{B}/a$b", "a$b", True),
        (f"{B}/caf\u00e9/*", "caf\u00e9/", False),
        (f"{B}/cafe\u0301/*", "cafe\u0301/", False),
        (f"{B}/\U0001f600", "\U0001f600", True),
        (f'{B}/"quoted\\"/*', '"quoted\\"/', False),
    ],
)
def test_an_arn_is_read_as_raw_text(text: str, key: str, exact: bool) -> None:
    arn = parse_s3_arn(text, field="f")
    assert (arn.location.bucket, arn.location.key, arn.exact, arn.text) == ("acme-lake", key, exact, text)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "must be `arn:aws:s3:::BUCKET/KEY`"),
        ("s3://acme-lake/finance/*", "must be `arn:aws:s3:::BUCKET/KEY`"),
        ("s3a://acme-lake/finance/*", "must be `arn:aws:s3:::BUCKET/KEY`"),
        ("ARN:aws:s3:::acme-lake/x", "must be `arn:aws:s3:::BUCKET/KEY`"),
        (" arn:aws:s3:::acme-lake/x", "must be `arn:aws:s3:::BUCKET/KEY`"),
        ("arn:aws:s3::acme-lake/x", "must be `arn:aws:s3:::BUCKET/KEY`"),
        (B, "must be `arn:aws:s3:::BUCKET/KEY`"),
        (f"{B}/", "must be `arn:aws:s3:::BUCKET/KEY`"),
        ("arn:aws:S3:::acme-lake/x", "of a service that is available"),
        ("arn:aws:dynamodb:eu-west-1:111122223333:table/orders", "of a service that is available"),
        ("arn:aws-cn:s3:::acme-lake/x", "partition"),
        ("arn:aws-us-gov:s3:::acme-lake/x", "partition"),
        ("arn:aws:s3:eu-west-1:111122223333:accesspoint/ap/object/x", "not an access point"),
        ("arn:aws:s3::111122223333:accesspoint/x.mrap/object/y", "not an access point"),
        ("arn:aws:s3:eu-west-1::acme-lake/x", "not an access point"),
        ("arn:aws:s3express:eu-west-1:111122223333:bucket/b--euw1-az1--x-s3", "not an access point or another kind"),
        ("arn:aws:s3-object-lambda:eu-west-1:111122223333:accesspoint/x", "not an access point or another kind"),
        ("arn:aws:s3tables:eu-west-1:111122223333:bucket/x", "not an access point or another kind"),
        ("arn:aws:s3-outposts:eu-west-1:111122223333:outpost/x", "not an access point or another kind"),
        ("arn:aws:s3:::lake--euw1-az1--x-s3/x", "a directory bucket"),
        ("arn:aws:s3:::tables--table-s3/x", "a table bucket"),
        ("arn:aws:s3:::my-ap-abc123-s3alias/x", "an access point alias"),
        ("arn:aws:s3:::my-olap--ol-s3/x", "an Object Lambda alias"),
        ("arn:aws:s3:::mfzwi23gnjvgw.mrap/x", "a multi-Region access point alias"),
        ("arn:aws:s3:::*/x", "without wildcards"),
        ("arn:aws:s3:::acme-*/x", "without wildcards"),
        ("arn:aws:s3:::acme-lak?/x", "without wildcards"),
        ("arn:aws:s3:::${aws:username}/x", "without wildcards"),
        ("arn:aws:s3:::Acme-Lake/x", "must name a bucket"),
        ("arn:aws:s3:::ab/x", "must name a bucket"),
        (f"arn:aws:s3:::{'a' * 64}/x", "must name a bucket"),
        ("arn:aws:s3:::-acme/x", "must name a bucket"),
        ("arn:aws:s3:::acme..lake/x", "must name a bucket"),
        ("arn:aws:s3:::192.168.0.1/x", "must name a bucket"),
        ("arn:aws:s3:::acme_lake/x", "must name a bucket"),
        ("arn:aws:s3:::acme\uff0dlake/x", "must name a bucket"),
        ("arn:aws:s3:::acme-lake\u0661/x", "must name a bucket"),
        ("arn:aws:s3:::/x", "must name a bucket"),
        (f"{B}/fin*", "no wildcard but a closing"),
        (f"{B}/*/x", "no wildcard but a closing"),
        (f"{B}/**", "no wildcard but a closing"),
        (f"{B}/a/*/*", "no wildcard but a closing"),
        (f"{B}/a/?/*", "no wildcard but a closing"),
        (f"{B}/$*", "no wildcard but a closing"),
        (f"{B}/${{aws:username}}/*", "no policy variable"),
        (f"{B}/${{", "no policy variable"),
        (f"{B}/${{}}", "no policy variable"),
        (f"{B}/a\x00b", "no control characters"),
        (f"{B}/a\nb/*", "no control characters"),
        (f"{B}/a/*\n", "no control characters"),
        (f"{B}/a\x7f", "no control characters"),
        (f"{B}/a\x85", "no control characters"),
        (f"{B}/a\ud800", "valid Unicode"),
        (f"{B}/{'k' * 1025}", "at most 1024 bytes"),
        (f"{B}/{chr(0x20AC) * 342}", "at most 1024 bytes"),
    ],
)
def test_what_is_no_name_of_this_door_is_refused_by_name(text: str, rule: str) -> None:
    assert rule in rule_of(text)


def test_the_longest_key_of_s3_is_read() -> None:
    assert parse_s3_arn(f"{B}/{'k' * 1024}", field="f").location.key == "k" * 1024


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=60))
@settings(deadline=None)
def test_every_key_can_be_written_and_is_read_back(key: str) -> None:
    arn = parse_s3_arn(f"{B}/{literal(key)}", field="f")
    assert arn.location.key == key
    assert arn.exact
    prefix = parse_s3_arn(f"{B}/{literal(key)}/*", field="f")
    assert (prefix.location.key, prefix.exact) == (f"{key}/", False)
