"""A boto3 session that renews itself at the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.credentials import AwsCredentials
from penstock.delivery.forms import instant
from penstock.delivery.renewal import RenewingSession
from penstock.extras import load

if TYPE_CHECKING:
    import boto3
    from botocore.credentials import RefreshableCredentials

_PURPOSE = "a boto3 session"


def session_of(renewing: RenewingSession, *, region: str | None) -> boto3.Session:
    """Give a boto3 session with these credentials and no other source of any.

    `region` is by default that of the environment or configuration of AWS, then that of the role.

    Raises:
        MissingExtra: boto3 is not installed; the extra is `boto`.
        PenstockError: the server refuses the first session.
    """
    boto3 = load("boto3", extra="boto", purpose=_PURPOSE)
    botocore_session = load("botocore.session", extra="boto", purpose=_PURPOSE)
    botocore_credentials = load("botocore.credentials", extra="boto", purpose=_PURPOSE)
    # Here, and not at the first call of a client: a refusal belongs to whoever asks for the session.
    first = renewing.current()

    class Provider(botocore_credentials.CredentialProvider):  # type: ignore[misc, name-defined]  # loaded above
        METHOD = "penstock"
        CANONICAL_NAME = "custom-penstock"

        def load(self) -> RefreshableCredentials:
            return botocore_credentials.RefreshableCredentials.create_from_metadata(  # type: ignore[no-any-return]
                metadata=_metadata(renewing.current()),
                refresh_using=lambda: _metadata(renewing.current()),
                method=self.METHOD,
            )

    core = botocore_session.get_session()
    # SECURITY: the only provider; where the server refuses, no other credentials of this machine are used instead.
    core.register_component("credential_provider", botocore_credentials.CredentialResolver([Provider()]))
    known = region or core.get_config_variable("region") or first.region or None
    return boto3.Session(botocore_session=core, region_name=known)  # type: ignore[no-any-return]


def _metadata(session: AwsCredentials) -> dict[str, str]:
    return {
        "access_key": session.access_key_id,
        "secret_key": session.secret_access_key,
        "token": session.session_token,
        "expiry_time": instant(session.expires_at),
    }
