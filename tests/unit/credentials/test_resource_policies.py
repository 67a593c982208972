"""Which statements of a resource's own policy let in others than the roles of sessions."""

from __future__ import annotations

import pytest
from penstock_server.credentials.resource_policies import open_grants

OWN = "111122223333"
OTHER = "444455556666"


def found(**statement: object) -> tuple[str, ...]:
    return open_grants(({"Sid": "S", "Effect": "Allow", "Action": "s3:*", **statement},), frozenset({OWN}))


@pytest.mark.parametrize(
    "principal",
    [
        "*",
        {"AWS": "*"},
        {"AWS": [f"arn:aws:iam::{OWN}:role/etl", "*"]},
        {"Federated": "*"},
        {"Service": ["*"]},
        {"AWS": f"arn:aws:sts::{OWN}:assumed-role/penstock-lake-reader/pk-x"},
        {"AWS": f"arn:aws:sts::{OWN}:federated-user/x"},
        {"AWS": OTHER},
        {"AWS": f"arn:aws:iam::{OTHER}:root"},
        {"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1"},
        {"AWS": "AROADELETEDROLE"},
        {"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"},
        {},
        None,
        7,
    ],
)
def test_an_open_grant_is_seen_whatever_its_condition(principal: object) -> None:
    assert found(Principal=principal)
    assert found(Principal=principal, Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}})
    assert not found(Principal=principal, Effect="Deny")


def test_an_allow_for_all_but_some_is_an_open_grant() -> None:
    assert found(NotPrincipal={"AWS": f"arn:aws:iam::{OWN}:root"})


@pytest.mark.parametrize(
    "principal",
    [
        {"AWS": OWN},
        {"AWS": f"arn:aws:iam::{OWN}:root"},
        {"AWS": [f"arn:aws:iam::{OWN}:role/penstock-lake-reader", f"arn:aws:iam::{OWN}:user/x"]},
        {"Service": "cloudtrail.amazonaws.com"},
        {"Federated": "cognito-identity.amazonaws.com"},
    ],
)
def test_what_the_own_account_and_services_are_given_is_none(principal: object) -> None:
    assert not found(Principal=principal)
