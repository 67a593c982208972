"""penstock.v1.CredentialService."""

from __future__ import annotations

from penstock.v1 import credential_service_pb2 as messages
from penstock.v1 import spark_service_pb2

from penstock_server.broker.credential_doors import CredentialBroker
from penstock_server.broker.leases import LeaseBroker
from penstock_server.credentials.requests import AwsCredentialRequest, RedshiftLoginRequest
from penstock_server.errors import InvalidRequest
from penstock_server.model.decision import Access
from penstock_server.model.lease import Lease, LeaseStatus
from penstock_server.model.resource import Door
from penstock_server.service.calls import Call, caller_of
from penstock_server.service.methods import Method, UnaryMethod
from penstock_server.service.packing import span, timestamp
from penstock_server.service.paging import PageTokens

NAME = "penstock.v1.CredentialService"

_ACCESS: dict[int, Access] = {
    messages.AWS_ACCESS_READ: Access.READ,
    messages.AWS_ACCESS_LIST: Access.LIST,
    messages.AWS_ACCESS_WRITE: Access.WRITE,
}
_DOORS = {
    Door.QUERY: messages.DOOR_QUERY,
    Door.AWS: messages.DOOR_AWS,
    Door.REDSHIFT: messages.DOOR_REDSHIFT,
    Door.SPARK: messages.DOOR_SPARK,
}
_STATES = {
    LeaseStatus.ISSUING: messages.LEASE_STATE_ISSUING,
    LeaseStatus.ISSUED: messages.LEASE_STATE_ISSUED,
    LeaseStatus.REVOKED: messages.LEASE_STATE_REVOKED,
}


class CredentialService:
    """Issues credentials that reach no further than the policy."""

    def __init__(self, broker: CredentialBroker, leases: LeaseBroker, pages: PageTokens) -> None:
        self._broker = broker
        self._leases = leases
        self._pages = pages

    def methods(self) -> tuple[Method, ...]:
        """Give the methods that are served."""
        return (
            UnaryMethod(
                name=f"/{NAME}/IssueAwsCredentials",
                request=messages.IssueAwsCredentialsRequest,
                answer=self.issue_aws_credentials,
            ),
            UnaryMethod(
                name=f"/{NAME}/IssueRedshiftCredentials",
                request=messages.IssueRedshiftCredentialsRequest,
                answer=self.issue_redshift_credentials,
            ),
            UnaryMethod(name=f"/{NAME}/ListLeases", request=messages.ListLeasesRequest, answer=self.list_leases),
            UnaryMethod(name=f"/{NAME}/GetLease", request=messages.GetLeaseRequest, answer=self.get_lease),
            UnaryMethod(name=f"/{NAME}/RevokeLease", request=messages.RevokeLeaseRequest, answer=self.revoke_lease),
        )

    async def issue_aws_credentials(
        self, request: messages.IssueAwsCredentialsRequest, call: Call
    ) -> messages.IssueAwsCredentialsResponse:
        """Issue an AWS session."""
        issued = await self._broker.issue_aws(
            caller_of(call),
            scope_of(request),
        )
        return messages.IssueAwsCredentialsResponse(
            access_key_id=issued.access_key_id,
            secret_access_key=issued.secret_access_key.reveal(),
            session_token=issued.session_token.reveal(),
            expire_time=timestamp(issued.expires_at),
            session_policy=issued.session_policy,
            lease_id=issued.lease_id,
            role_arn=issued.role_arn,
            revocable=issued.revocable,
            grants=issued.grants,
            policy_version=issued.policy_version,
            region=issued.region,
        )

    async def issue_redshift_credentials(
        self, request: messages.IssueRedshiftCredentialsRequest, call: Call
    ) -> messages.IssueRedshiftCredentialsResponse:
        """Issue a Redshift login."""
        issued = await self._broker.issue_redshift(
            caller_of(call),
            RedshiftLoginRequest(
                name=request.name,
                ttl=span("ttl", request.ttl) if request.HasField("ttl") else None,
                purpose=request.purpose,
                request_id=request.request_id or None,
            ),
        )
        return messages.IssueRedshiftCredentialsResponse(
            user=issued.user,
            password=issued.password.reveal(),
            host=issued.host,
            port=issued.port,
            database=issued.database,
            expire_time=timestamp(issued.expires_at),
            lease_id=issued.lease_id,
            database_groups=issued.database_groups,
            revocable=issued.revocable,
            grants=issued.grants,
            policy_version=issued.policy_version,
        )

    async def list_leases(self, request: messages.ListLeasesRequest, call: Call) -> messages.ListLeasesResponse:
        """List the caller's own leases, or those of everybody."""
        question = "everybody" if request.everybody else ""
        page = self._pages.request(call, size=request.page_size, token=request.page_token, question=question)
        leases = await self._leases.list(caller_of(call), page, everybody=request.everybody)
        return messages.ListLeasesResponse(
            leases=[lease_message(lease) for lease in leases.items],
            next_page_token=self._pages.token(call, end=leases.end, question=question),
        )

    async def get_lease(self, request: messages.GetLeaseRequest, call: Call) -> messages.GetLeaseResponse:
        """Show one lease."""
        return messages.GetLeaseResponse(
            lease=lease_message(await self._leases.show(caller_of(call), request.lease_id))
        )

    async def revoke_lease(self, request: messages.RevokeLeaseRequest, call: Call) -> messages.RevokeLeaseResponse:
        """Revoke one lease."""
        revoked = await self._leases.revoke(caller_of(call), request.lease_id)
        return messages.RevokeLeaseResponse(lease=lease_message(revoked.lease), effect=revoked.effect)


def scope_of(
    request: messages.IssueAwsCredentialsRequest | spark_service_pb2.StartSparkJobRequest,
) -> AwsCredentialRequest:
    """Give what is asked of AWS, for a session or for what runs under one."""
    return AwsCredentialRequest(
        resources=tuple(request.resources),
        access=tuple(_access(number, value) for number, value in enumerate(request.access)),
        ttl=span("ttl", request.ttl) if request.HasField("ttl") else None,
        purpose=request.purpose,
        request_id=request.request_id or None,
    )


def _access(number: int, value: int) -> Access:
    """Read one word of `access`. Raises InvalidRequest."""
    if value not in _ACCESS:
        raise InvalidRequest(f"access[{number}]", "`AWS_ACCESS_READ`, `AWS_ACCESS_LIST` or `AWS_ACCESS_WRITE`")
    return _ACCESS[value]


def lease_message(lease: Lease) -> messages.Lease:
    """Give a lease as its message."""
    return messages.Lease(
        lease_id=lease.id,
        door=_DOORS[lease.door],
        scope=lease.scope,
        create_time=timestamp(lease.created_at),
        expire_time=timestamp(lease.expires_at),
        state=_STATES[lease.status],
        revoke_time=None if lease.revoked_at is None else timestamp(lease.revoked_at),
        issuer=lease.issuer,
        subject=lease.subject,
        role_arn=lease.role,
        policy_version=lease.policy_version,
    )
