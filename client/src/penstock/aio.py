"""The asynchronous client. `penstock.client` wraps it; nothing is written twice.

```
async with penstock.aio.connect("broker.example.com:443", token=...) as broker:
    result = await broker.query("select * from nyc.flights")
    async for batch in result:
        ...
```
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from penstock import decoding, endpoint, parameters, results, unpacking
from penstock.bearer import Bearer, TokenSource
from penstock.calls import Calls, span
from penstock.credentials import AwsCredentials, Lease, RedshiftLogin, RevokedLease
from penstock.decisions import ExplainedPrincipal, Explanation, Identity, QueryExplanation, Table, TableCheck
from penstock.errors import invalid
from penstock.login import Cached, SignInMetadata
from penstock.operations import AsyncOperations
from penstock.pages import PAGE_SIZE, all_of
from penstock.parameters import Parameters
from penstock.policy_tools import AsyncPolicy
from penstock.results import Progress, Result
from penstock.session_requests import duration, session_request, texts
from penstock.spark import AsyncSpark
from penstock.v1 import (
    access_service_pb2,
    access_service_pb2_grpc,
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    credential_service_pb2,
    credential_service_pb2_grpc,
    identity_service_pb2,
    identity_service_pb2_grpc,
    query_service_pb2,
    query_service_pb2_grpc,
)

__all__ = ["Broker", "Result", "connect"]


def connect(
    target: str,
    *,
    token: TokenSource = None,
    tls: bool | None = None,
    ca: str | Path | bytes | None = None,
    client_certificate: tuple[str | Path, str | Path] | None = None,
    timeout: float | timedelta = 60,
) -> Broker:
    """Give a broker behind `HOST:PORT`; nothing is sent before its first call.

    `token` is a bearer token, or a callable (a coroutine function too) that gives one for each call, or
    `penstock.login.Cached()` for what `penstock login` keeps, or None for calls that need none. TLS is on unless the
    host is loopback; `ca` is a PEM, or the path of one, for authorities that are not public; `client_certificate` the
    paths of a chain and its key. `timeout` (seconds) bounds each call but `query`, which has its own.

    Raises:
        InvalidRequest: the target or the token is malformed, or the token would go in plain text to another machine.
    """
    way = endpoint.transport(target, tls=tls, ca=ca, client_certificate=client_certificate)
    if isinstance(token, Cached):
        token = token.for_server(str(way.endpoint))
    return Broker(Calls(way, Bearer(token), timeout=span("timeout", timeout)))


class Broker:
    """A connection to one server as one caller. Every method raises `PenstockError` or a subclass."""

    def __init__(self, calls: Calls) -> None:
        """Take what makes the calls; use `connect`."""
        self._calls = calls

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Cancel what still runs and close the connection. May be called again."""
        await self._calls.close()

    @property
    def policy(self) -> AsyncPolicy:
        """The calls about policies as a whole, most of them for administrators."""
        return AsyncPolicy(self._calls)

    @property
    def operations(self) -> AsyncOperations:
        """What runs and what is kept at the server, for administrators."""
        return AsyncOperations(self._calls)

    @property
    def spark(self) -> AsyncSpark:
        """Spark jobs that run under the caller's scope."""
        return AsyncSpark(self._calls)

    async def sign_in_metadata(self) -> tuple[SignInMetadata, ...]:
        """Say how to sign in here: the identity providers, the default one first. Needs and sends no token."""
        request = identity_service_pb2.GetSignInMetadataRequest()
        answer = await self._calls.unary(
            lambda c: identity_service_pb2_grpc.IdentityServiceStub(c).GetSignInMetadata, request, anonymous=True
        )
        return tuple(unpacking.sign_in_metadata(each) for each in answer.issuers)

    async def whoami(self) -> Identity:
        """Give the caller as the server verified it."""
        request = identity_service_pb2.WhoAmIRequest()
        answer = await self._calls.unary(lambda c: identity_service_pb2_grpc.IdentityServiceStub(c).WhoAmI, request)
        return unpacking.identity(answer)

    async def query(
        self,
        sql: str,
        *,
        catalog: str = "",
        parameters: Parameters = (),
        timeout: float | timedelta | None = None,  # noqa: ASYNC109 - engine time at the server, not that of the await
        progress: Progress | None = None,
    ) -> Result:
        """Run one read-only statement and give its answer once the server has admitted it.

        `catalog` is where short names are looked up first. `timeout` is the most engine time, in seconds; the server
        has a limit of its own. `progress` is told the name of a table that the server reads and keeps first, where
        that takes long. Needs the extra `arrow`.

        Raises:
            QueryError: the statement was refused or failed.
            NameNotFound: it names a table or column that does not exist for the caller.
            LimitExceeded: time, memory, size or rows.
        """
        decoding.arrow()
        request = _statement(sql, catalog, parameters)
        request.progress = progress is not None
        silence = None
        if timeout is not None:
            allowed = span("timeout", timeout)
            request.timeout.FromTimedelta(allowed)
            silence = allowed + results.GRACE
        stub = query_service_pb2_grpc.QueryServiceStub(self._calls.channel)
        stream = stub.ExecuteQuery(request, metadata=await self._calls.headers())
        return await results.begin(stream, silence=silence, progress=progress)

    async def tables(self, pattern: str = "") -> tuple[Table, ...]:
        """List the caller's tables by name; `pattern` has `*` and `?` and is over full names, empty for all."""
        return await all_of(
            lambda token: self._calls.unary(
                lambda c: catalog_service_pb2_grpc.CatalogServiceStub(c).ListTables,
                catalog_service_pb2.ListTablesRequest(pattern=pattern, page_size=PAGE_SIZE, page_token=token),
            ),
            lambda page: map(unpacking.table, page.tables),
        )

    async def describe(self, table: str) -> Table:
        """Give one table as the caller sees it.

        Raises:
            NotFound: there is no such table for the caller.
        """
        request = catalog_service_pb2.GetTableRequest(name=table)
        answer = await self._calls.unary(lambda c: catalog_service_pb2_grpc.CatalogServiceStub(c).GetTable, request)
        return unpacking.table(answer.table)

    async def explain(self, table: str, *, principal: ExplainedPrincipal | None = None) -> Explanation:
        """Explain what the caller may do with a table or an ARN, layer by layer; or somebody else, to administrators.

        Raises:
            NotFound: there is no such table for the caller.
            AccessDenied: `principal` is given, and the caller is no administrator.
        """
        request = access_service_pb2.ExplainAccessRequest(table=table, principal=_explained(principal))
        answer = await self._calls.unary(lambda c: access_service_pb2_grpc.AccessServiceStub(c).ExplainAccess, request)
        return unpacking.explanation(answer.explanation)

    async def explain_query(
        self,
        sql: str,
        *,
        catalog: str = "",
        parameters: Parameters = (),
        principal: ExplainedPrincipal | None = None,
    ) -> QueryExplanation:
        """Explain what the caller, or for administrators somebody else, would be given of each table of a statement.

        The statement is parsed and bound, and not run. Raises as `query`, and AccessDenied where `principal` is given
        and the caller is no administrator.
        """
        statement = _statement(sql, catalog, parameters)
        request = access_service_pb2.ExplainAccessRequest(
            query=access_service_pb2.ExplainedQuery(
                sql=statement.sql, catalog=statement.catalog, parameters=statement.parameters
            ),
            principal=_explained(principal),
        )
        answer = await self._calls.unary(lambda c: access_service_pb2_grpc.AccessServiceStub(c).ExplainAccess, request)
        return unpacking.query_explanation(answer)

    async def check(self, tables: Sequence[str]) -> tuple[TableCheck, ...]:
        """Say what the caller may do with 1 to 100 tables, in their order; what is not found is no error here."""
        request = access_service_pb2.CheckAccessRequest(tables=texts("tables", tables))
        answer = await self._calls.unary(lambda c: access_service_pb2_grpc.AccessServiceStub(c).CheckAccess, request)
        return tuple(unpacking.check(each, policy_version=answer.policy_version) for each in answer.results)

    async def aws_credentials(
        self,
        resources: Sequence[str],
        *,
        access: str | Sequence[str] = "read",
        ttl: float | timedelta | None = None,
        purpose: str = "",
    ) -> AwsCredentials:
        """Get a temporary AWS session for ARNs of S3 objects or prefixes (`.../*`), or for names of tables.

        `access` is `read`, `list` or `write`, or several of them; `ttl` is in seconds, absent for what policy and
        token allow. Each call issues a session of its own.

        Raises:
            AccessDenied: no grant covers it, or the location is closed; the hint names the door that works.
            LimitExceeded: the scope does not fit a session policy, or would live too short.
        """
        request = session_request(resources, access=access, ttl=ttl, purpose=purpose)
        answer = await self._calls.unary(
            lambda c: credential_service_pb2_grpc.CredentialServiceStub(c).IssueAwsCredentials, request
        )
        return unpacking.aws_credentials(answer)

    async def redshift_login(
        self, name: str, *, ttl: float | timedelta | None = None, purpose: str = ""
    ) -> RedshiftLogin:
        """Get a temporary login for a Redshift cluster under its configured name; `ttl` is in seconds.

        Raises:
            NotFound: there is no such login for the caller.
        """
        request = credential_service_pb2.IssueRedshiftCredentialsRequest(
            name=name, ttl=duration("ttl", ttl), purpose=purpose, request_id=str(uuid.uuid4())
        )
        answer = await self._calls.unary(
            lambda c: credential_service_pb2_grpc.CredentialServiceStub(c).IssueRedshiftCredentials, request
        )
        return unpacking.redshift_login(answer)

    async def leases(self, *, everybody: bool = False) -> tuple[Lease, ...]:
        """List the caller's credentials that have not ended; those of everybody are for administrators."""
        return await all_of(
            lambda token: self._calls.unary(
                lambda c: credential_service_pb2_grpc.CredentialServiceStub(c).ListLeases,
                credential_service_pb2.ListLeasesRequest(page_size=PAGE_SIZE, page_token=token, everybody=everybody),
            ),
            lambda page: map(unpacking.lease, page.leases),
        )

    async def lease(self, lease_id: str) -> Lease:
        """Show one lease of the caller; administrators may ask for any.

        Raises:
            NotFound: there is no such lease for the caller.
        """
        answer = await self._calls.unary(
            lambda c: credential_service_pb2_grpc.CredentialServiceStub(c).GetLease,
            credential_service_pb2.GetLeaseRequest(lease_id=lease_id),
        )
        return unpacking.lease(answer.lease)

    async def revoke_lease(self, lease_id: str) -> RevokedLease:
        """Revoke one lease of the caller; administrators may revoke any. Again is no error.

        Raises:
            NotFound: there is no such lease for the caller.
        """
        answer = await self._calls.unary(
            lambda c: credential_service_pb2_grpc.CredentialServiceStub(c).RevokeLease,
            credential_service_pb2.RevokeLeaseRequest(lease_id=lease_id),
        )
        return unpacking.revoked_lease(answer)


def _statement(sql: str, catalog: str, values: Parameters) -> query_service_pb2.ExecuteQueryRequest:
    try:
        return query_service_pb2.ExecuteQueryRequest(sql=sql, catalog=catalog, parameters=parameters.pack(values))
    except UnicodeEncodeError as error:
        raise invalid("sql", "is valid Unicode text, without lone surrogates") from error


def _explained(principal: ExplainedPrincipal | None) -> access_service_pb2.ExplainedPrincipal | None:
    if principal is None:
        return None
    return access_service_pb2.ExplainedPrincipal(
        issuer=principal.issuer,
        username=principal.username,
        subject=principal.subject,
        groups=texts("groups", principal.groups),
        attributes=[
            access_service_pb2.ExplainedAttribute(name=name, values=texts(f"attributes[{name}]", values))
            for name, values in principal.attributes.items()
        ],
        source_address=principal.source_address,
    )
