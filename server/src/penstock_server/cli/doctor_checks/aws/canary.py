"""Sessions for trying: made as the service makes them, for a prefix that nobody uses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from penstock_server.credentials.fit import print_session_policy
from penstock_server.credentials.names import LEASE_TAG, USER_TAG, stable_name_of
from penstock_server.credentials.roles import TargetRole
from penstock_server.model.decision import S3Scope
from penstock_server.model.resource import S3Location, S3Permission

SECONDS: Final = 900
PREFIX: Final = "penstock-doctor/canary/"
OUTSIDE: Final = "penstock-doctor/outside"
ISSUER: Final = "penstock-doctor"
SUBJECT: Final = "canary"
NAME: Final = stable_name_of(ISSUER, SUBJECT)
LEASE: Final = "penstock-doctor-canary"
NOTHING: Final = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]},
    separators=(",", ":"),
)
"""The policy of sessions that should not come to be: where one does, it can do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """How a role is assumed for trying."""

    role: TargetRole

    def whole(self, policy: str = NOTHING, *, name: str = NAME) -> dict[str, object]:
        """Give the parameters of AssumeRole as in production."""
        external_id = self.role.external_id
        return {
            "RoleArn": self.role.arn,
            "RoleSessionName": name,
            "SourceIdentity": name,
            "Policy": policy,
            "Tags": [{"Key": LEASE_TAG, "Value": LEASE}, {"Key": USER_TAG, "Value": name}],
            "DurationSeconds": SECONDS,
            **({} if external_id is None else {"ExternalId": external_id.reveal()}),
        }

    def lacking(self, what: str) -> dict[str, object]:
        """Give the parameters without one of them."""
        return {name: value for name, value in self.whole().items() if name != what}

    def wrong(self, changed: Mapping[str, object]) -> dict[str, object]:
        """Give the parameters with some of them changed."""
        return {**self.whole(), **changed}


def reading(bucket: str, prefix: str, account: str) -> str:
    """Give the session policy that the service itself would print, for reading and listing a prefix of a bucket."""
    scope = S3Scope(
        location=S3Location(bucket=bucket, key=prefix),
        exact=False,
        permissions=frozenset({S3Permission.READ, S3Permission.LIST}),
    )
    return print_session_policy((scope,), account, None)
