"""The credential doors as the service sees them."""

from __future__ import annotations

from penstock_server.broker.callers import Caller
from penstock_server.broker.decision_records import DecisionRecords, Question
from penstock_server.broker.pages import Page, PageRequest
from penstock_server.credentials.aws_sessions import AwsSessionDoor
from penstock_server.credentials.redshift_logins import RedshiftLoginDoor
from penstock_server.credentials.requests import (
    AwsCredentialRequest,
    IssuedAwsCredentials,
    IssuedRedshiftLogin,
    RedshiftLoginRequest,
)
from penstock_server.model.audit import Event
from penstock_server.model.lease import Lease
from penstock_server.model.ports import LeaseStore


class CredentialBroker:
    """Answers CredentialService; the doors decide and record each credential themselves."""

    def __init__(
        self, *, aws: AwsSessionDoor, redshift: RedshiftLoginDoor, leases: LeaseStore, records: DecisionRecords
    ) -> None:
        self._aws = aws
        self._redshift = redshift
        self._leases = leases
        self._records = records

    async def issue_aws(self, caller: Caller, request: AwsCredentialRequest) -> IssuedAwsCredentials:
        """Issue an AWS session. Raises as `AwsSessionDoor.issue`."""
        return await self._aws.issue(caller.principal, request, caller.context)

    async def issue_redshift(self, caller: Caller, request: RedshiftLoginRequest) -> IssuedRedshiftLogin:
        """Issue a Redshift login. Raises as `RedshiftLoginDoor.issue`."""
        return await self._redshift.issue(caller.principal, request, caller.context)

    async def list_leases(self, caller: Caller, page: PageRequest) -> Page[Lease]:
        """Give the caller's own live leases, by id. Raises InvalidRequest, Unavailable."""
        question = Question(event=Event.LEASES_LISTED, caller=caller, resources=())
        async with self._records.refusals(question):
            limit = page.limit()
            leases = await self._leases.of(caller.principal, after=page.after, limit=limit + 1)
        items = tuple(leases[:limit])
        await self._records.allowed(question, None, details=(("leases", str(len(items))),))
        return Page(items=items, end=items[-1].id if len(leases) > limit else "")
