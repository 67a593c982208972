"""The credential doors as the service sees them."""

from __future__ import annotations

from penstock_server.broker.callers import Caller
from penstock_server.credentials.aws_sessions import AwsSessionDoor
from penstock_server.credentials.redshift_logins import RedshiftLoginDoor
from penstock_server.credentials.requests import (
    AwsCredentialRequest,
    IssuedAwsCredentials,
    IssuedRedshiftLogin,
    RedshiftLoginRequest,
)


class CredentialBroker:
    """Answers CredentialService; the doors decide and record each credential themselves."""

    def __init__(self, *, aws: AwsSessionDoor, redshift: RedshiftLoginDoor) -> None:
        self._aws = aws
        self._redshift = redshift

    async def issue_aws(self, caller: Caller, request: AwsCredentialRequest) -> IssuedAwsCredentials:
        """Issue an AWS session. Raises as `AwsSessionDoor.issue`."""
        return await self._aws.issue(caller.principal, request, caller.context)

    async def issue_redshift(self, caller: Caller, request: RedshiftLoginRequest) -> IssuedRedshiftLogin:
        """Issue a Redshift login. Raises as `RedshiftLoginDoor.issue`."""
        return await self._redshift.issue(caller.principal, request, caller.context)
