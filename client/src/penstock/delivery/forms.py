"""A session as AWS's own tools read it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from penstock.credentials import AwsCredentials


def instant(moment: datetime) -> str:
    """Give an instant to the second, rounded down, ending in `Z`: some SDKs read no other offset."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def credential_process(session: AwsCredentials) -> str:
    """Give what a `credential_process` prints.

    Source: AWS SDKs and Tools Reference Guide, Process credential provider.
    """
    return json.dumps(
        {
            "Version": 1,
            "AccessKeyId": session.access_key_id,
            "SecretAccessKey": session.secret_access_key,
            "SessionToken": session.session_token,
            "Expiration": instant(session.expires_at),
        }
    )


def container(session: AwsCredentials) -> str:
    """Give what a container credentials endpoint answers; the session token is called `Token` there.

    Source: AWS SDKs and Tools Reference Guide, Container credential provider.
    """
    return json.dumps(
        {
            "AccessKeyId": session.access_key_id,
            "SecretAccessKey": session.secret_access_key,
            "Token": session.session_token,
            "Expiration": instant(session.expires_at),
        }
    )


def variables(session: AwsCredentials) -> list[tuple[str, str]]:
    """Give a session as environment variables; the region is that of the role's configuration, where it has one."""
    return [
        ("AWS_ACCESS_KEY_ID", session.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", session.secret_access_key),
        ("AWS_SESSION_TOKEN", session.session_token),
        ("AWS_CREDENTIAL_EXPIRATION", instant(session.expires_at)),
        *([("AWS_REGION", session.region)] if session.region else []),
    ]
