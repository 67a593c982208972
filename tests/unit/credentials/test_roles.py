from __future__ import annotations

import pytest
from penstock_server.credentials.arns import parse_s3_arn
from penstock_server.credentials.roles import RoleTable, read_roles
from penstock_server.errors import AccessDenied, ConfigurationError, InvalidRequest, Reason
from penstock_server.model.secret import Secret
from support.credentials import ACCOUNT, FixedSecrets, role

LAKE = role("lake", serves=("arn:aws:s3:::acme-lake/*",))
FINANCE = role("finance", serves=("arn:aws:s3:::acme-money/in/*", "arn:aws:s3:::acme-out"), external_id=None)


PARTNER = (("partner", "444455556666"),)


class OneSecret:
    def __init__(self, text: str) -> None:
        self._text = text

    def resolve(self, reference: str) -> Secret[str]:
        assert reference
        return Secret(self._text)


def read(*roles: object) -> RoleTable:
    return read_roles(roles, FixedSecrets())  # type: ignore[arg-type]  # RoleSettings


def serving(roles: RoleTable, *texts: str) -> str:
    return roles.role_for([parse_s3_arn(text, field="f") for text in texts]).name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("arn:aws:s3:::acme-lake/finance/*", "lake"),
        ("arn:aws:s3:::acme-lake/*", "lake"),
        ("arn:aws:s3:::acme-lake/a", "lake"),
        ("arn:aws:s3:::acme-money/in/2026/*", "finance"),
        ("arn:aws:s3:::acme-out/*", "finance"),
        ("arn:aws:s3:::acme-out/x", "finance"),
    ],
)
def test_the_role_that_serves_all_of_it_is_taken(text: str, name: str) -> None:
    assert serving(read(LAKE, FINANCE), text) == name


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:s3:::acme-money/*",
        "arn:aws:s3:::acme-money/in",
        "arn:aws:s3:::acme-money/in2/*",
        "arn:aws:s3:::acme-lake2/*",
        "arn:aws:s3:::acme-outer/x",
    ],
)
def test_what_no_role_serves_as_a_whole_is_not_configured(text: str) -> None:
    with pytest.raises(AccessDenied) as refused:
        serving(read(LAKE, FINANCE), text)
    assert refused.value.reason is Reason.NOT_CONFIGURED


def test_a_request_across_two_roles_is_split_by_the_caller() -> None:
    with pytest.raises(InvalidRequest) as refused:
        serving(read(LAKE, FINANCE), "arn:aws:s3:::acme-lake/a", "arn:aws:s3:::acme-out/b", "arn:aws:s3:::acme-lake/c")
    assert "arn:aws:s3:::acme-out/b" in refused.value.hint
    assert "acme-lake" not in refused.value.hint


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("arn:aws:s3:::b-1/*", "arn:aws:s3:::b-1/*"),
        ("arn:aws:s3:::b-1/*", "arn:aws:s3:::b-1/a/*"),
        ("arn:aws:s3:::b-1/a/b/*", "arn:aws:s3:::b-1/a/*"),
        ("arn:aws:s3:::b-1", "arn:aws:s3:::b-1/a"),
    ],
)
def test_two_roles_for_one_key_are_a_mistake_of_the_configuration(one: str, two: str) -> None:
    with pytest.raises(ConfigurationError, match="serve a common location"):
        read(role("one", serves=(one,)), role("two", serves=(two,)))


def test_siblings_are_not_common() -> None:
    read(role("one", serves=("arn:aws:s3:::b-1/a/*",)), role("two", serves=("arn:aws:s3:::b-1/a2/*",)))


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iam::1:role/x",
        f"arn:aws:iam::{ACCOUNT}:user/x",
        f"arn:aws:iam::{ACCOUNT}:role/",
        f"arn:aws:iam::{ACCOUNT}:role/x\n",
        f"arn:aws-cn:iam::{ACCOUNT}:role/x",
        f"arn:aws:iam::{ACCOUNT}:role/*",
    ],
)
def test_what_is_no_role_arn_is_a_mistake_of_the_configuration(arn: str) -> None:
    with pytest.raises(ConfigurationError, match="arn"):
        read(role(arn=arn))


@pytest.mark.parametrize(
    "pattern", ["arn:aws:s3:::*", "s3://acme-lake", "arn:aws:s3:::acme-lake/fin*", "arn:aws:kms:::x"]
)
def test_what_is_no_location_is_not_served(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="serves"):
        read(role(serves=(pattern,)))


def test_a_role_that_serves_one_object_serves_no_more() -> None:
    roles = read(role(serves=("arn:aws:s3:::b-1/a.csv",)))
    assert serving(roles, "arn:aws:s3:::b-1/a.csv") == "lake-reader"
    for text in ("arn:aws:s3:::b-1/a.csv.bak", "arn:aws:s3:::b-1/a.csv/*", "arn:aws:s3:::b-1/*"):
        with pytest.raises(AccessDenied):
            serving(roles, text)


def test_no_session_is_made_from_a_role_that_serves_nothing() -> None:
    with pytest.raises(AccessDenied):
        serving(read(role(serves=())), "arn:aws:s3:::acme-lake/a")


def test_an_external_id_that_sts_would_refuse_is_a_mistake_of_the_configuration() -> None:
    with pytest.raises(ConfigurationError, match="none that STS accepts") as refused:
        read_roles([LAKE], OneSecret("two words"))
    assert "two words" not in str(refused.value)


def test_a_bucket_of_another_account_is_said_to_be_its_own() -> None:
    roles = read(role(serves=("arn:aws:s3:::acme-lake/*", "arn:aws:s3:::partner/*"), bucket_accounts=PARTNER))
    found = parse_s3_arn("arn:aws:s3:::partner/x", field="f")
    assert roles.role_for([found]).owner_of([found]) == "444455556666"


def test_one_session_reaches_one_account() -> None:
    roles = read(role(serves=("arn:aws:s3:::acme-lake/*", "arn:aws:s3:::partner/*"), bucket_accounts=PARTNER))
    both = [parse_s3_arn(text, field="f") for text in ("arn:aws:s3:::acme-lake/a", "arn:aws:s3:::partner/x")]
    with pytest.raises(InvalidRequest, match="one AWS account") as refused:
        roles.role_for(both).owner_of(both)
    assert "arn:aws:s3:::partner/x" in refused.value.hint


def test_the_account_and_external_id_of_a_role_are_known() -> None:
    found = read(LAKE).role_for([parse_s3_arn("arn:aws:s3:::acme-lake/a", field="f")])
    assert found.account == ACCOUNT
    assert found.external_id is not None
    assert "external-id" not in repr(found)
