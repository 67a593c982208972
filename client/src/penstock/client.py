"""The synchronous client: `penstock.aio` run on an event loop in a background thread. Holds no logic of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from penstock import aio
from penstock.bearer import TokenSource
from penstock.credentials import AwsCredentials, Lease, RedshiftLogin, RevokedLease
from penstock.decisions import (
    AppliedPolicy,
    ExplainedPrincipal,
    Explanation,
    Identity,
    QueryExplanation,
    Table,
    TableCheck,
)
from penstock.delivery.boto import session_of
from penstock.delivery.renewal import RenewingSession
from penstock.login import SignInMetadata
from penstock.operations import Operations
from penstock.parameters import Parameters
from penstock.policy_tools import Policy
from penstock.portal import Portal
from penstock.results import Progress
from penstock.spark import Spark

if TYPE_CHECKING:
    import boto3
    import pandas as pd
    import pyarrow as pa


def connect(
    target: str,
    *,
    token: TokenSource = None,
    tls: bool | None = None,
    ca: str | Path | bytes | None = None,
    client_certificate: tuple[str | Path, str | Path] | None = None,
    timeout: float | timedelta = 60,
) -> Broker:
    """Give a broker behind `HOST:PORT`; the arguments are those of `penstock.aio.connect`."""
    return Broker(
        aio.connect(target, token=token, tls=tls, ca=ca, client_certificate=client_certificate, timeout=timeout)
    )


class Broker:
    """A connection to one server as one caller; its methods are those of `penstock.aio.Broker`, and wait.

    May be shared by threads. Use it in a `with` block, or close it.
    """

    def __init__(self, broker: aio.Broker) -> None:
        """Take the broker to wrap; use `connect`."""
        self._broker = broker
        self._portal = Portal()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancel what still runs and close the connection. May be called again."""
        if not self._portal.closed:
            self._portal.run(self._broker.close())
            self._portal.close()

    @property
    def policy(self) -> Policy:
        """The calls about policies as a whole, most of them for administrators."""
        return Policy(self._broker.policy, self._portal)

    @property
    def operations(self) -> Operations:
        """What runs and what is kept at the server, for administrators."""
        return Operations(self._broker.operations, self._portal)

    @property
    def spark(self) -> Spark:
        """Spark jobs that run under the caller's scope."""
        return Spark(self._broker.spark, self._portal)

    def sign_in_metadata(self) -> tuple[SignInMetadata, ...]:
        """Say how to sign in here: the identity providers, the default one first. Needs and sends no token."""
        return self._portal.run(self._broker.sign_in_metadata())

    def whoami(self) -> Identity:
        """Give the caller as the server verified it."""
        return self._portal.run(self._broker.whoami())

    def query(
        self,
        sql: str,
        *,
        catalog: str = "",
        parameters: Parameters = (),
        timeout: float | timedelta | None = None,
        progress: Progress | None = None,
    ) -> Result:
        """Run one read-only statement and give its answer; Ctrl-C cancels it at the server.

        `progress` is told, in another thread, the name of a table that the server reads and keeps first.
        """
        answer = self._broker.query(sql, catalog=catalog, parameters=parameters, timeout=timeout, progress=progress)
        return Result(self._portal.run(answer), self._portal)

    def tables(self, pattern: str = "") -> tuple[Table, ...]:
        """List the caller's tables by name; `pattern` has `*` and `?` and is over full names, empty for all."""
        return self._portal.run(self._broker.tables(pattern))

    def describe(self, table: str) -> Table:
        """Give one table as the caller sees it."""
        return self._portal.run(self._broker.describe(table))

    def explain(self, table: str, *, principal: ExplainedPrincipal | None = None) -> Explanation:
        """Explain what the caller, or for administrators somebody else, may do with a table or an ARN."""
        return self._portal.run(self._broker.explain(table, principal=principal))

    def explain_query(
        self,
        sql: str,
        *,
        catalog: str = "",
        parameters: Parameters = (),
        principal: ExplainedPrincipal | None = None,
    ) -> QueryExplanation:
        """Explain what the caller, or for administrators somebody else, would be given of each table of a statement."""
        answer = self._broker.explain_query(sql, catalog=catalog, parameters=parameters, principal=principal)
        return self._portal.run(answer)

    def check(self, tables: Sequence[str]) -> tuple[TableCheck, ...]:
        """Say what the caller may do with 1 to 100 tables, in their order."""
        return self._portal.run(self._broker.check(tables))

    def aws_credentials(
        self,
        resources: Sequence[str],
        *,
        access: str | Sequence[str] = "read",
        ttl: float | timedelta | None = None,
        purpose: str = "",
    ) -> AwsCredentials:
        """Get a temporary AWS session for ARNs of S3 objects or prefixes, or for names of tables."""
        return self._portal.run(self._broker.aws_credentials(resources, access=access, ttl=ttl, purpose=purpose))

    def boto3_session(
        self,
        resources: Sequence[str],
        *,
        access: str | Sequence[str] = "read",
        ttl: float | timedelta | None = None,
        purpose: str = "",
        region: str | None = None,
    ) -> boto3.Session:
        """Get a boto3 session for what `aws_credentials` takes; it renews itself for as long as this broker is open.

        Its clients have these credentials and no others of this machine. `region` is by default that of the AWS
        configuration, then that of the role. Needs the extra `boto`. It has no asynchronous twin: boto3 waits.

        Raises:
            AccessDenied, LimitExceeded: as `aws_credentials`, here and again when it renews itself.
        """
        renewing = RenewingSession(lambda: self.aws_credentials(resources, access=access, ttl=ttl, purpose=purpose))
        return session_of(renewing, region=region)

    def redshift_login(self, name: str, *, ttl: float | timedelta | None = None, purpose: str = "") -> RedshiftLogin:
        """Get a temporary login for a Redshift cluster under its configured name."""
        return self._portal.run(self._broker.redshift_login(name, ttl=ttl, purpose=purpose))

    def leases(self, *, everybody: bool = False) -> tuple[Lease, ...]:
        """List the caller's credentials that have not ended; those of everybody are for administrators."""
        return self._portal.run(self._broker.leases(everybody=everybody))

    def lease(self, lease_id: str) -> Lease:
        """Show one lease of the caller; administrators may ask for any."""
        return self._portal.run(self._broker.lease(lease_id))

    def revoke_lease(self, lease_id: str) -> RevokedLease:
        """Revoke one lease of the caller; administrators may revoke any. Again is no error."""
        return self._portal.run(self._broker.revoke_lease(lease_id))


class Result:
    """The answer of one statement; it behaves as `penstock.aio.Result`, and waits."""

    def __init__(self, result: aio.Result, portal: Portal) -> None:
        """Take the result to wrap. Made by `Broker.query`, not by callers."""
        self._result = result
        self._portal = portal

    def __repr__(self) -> str:
        return repr(self._result)

    @property
    def schema(self) -> pa.Schema:
        """The schema of the answer, known before any batch."""
        return self._result.schema

    @property
    def explanation(self) -> tuple[AppliedPolicy, ...]:
        """How the policy shaped each table that the statement names."""
        return self._result.explanation

    @property
    def policy_version(self) -> str:
        """The version of the policy that decided."""
        return self._result.policy_version

    @property
    def query_id(self) -> str:
        """The id of the statement in the server's log and audit."""
        return self._result.query_id

    @property
    def row_count(self) -> int | None:
        """The number of rows; None until the answer is complete."""
        return self._result.row_count

    @property
    def engine_time(self) -> timedelta | None:
        """The engine time that was used; None until the answer is complete."""
        return self._result.engine_time

    def next_batch(self) -> pa.RecordBatch | None:
        """Give the next record batch, or None once the answer is complete."""
        return self._portal.run(self._result.next_batch())

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while (batch := self.next_batch()) is not None:
            yield batch

    def to_arrow(self) -> pa.Table:
        """Read the whole answer into a `pyarrow.Table`."""
        return self._portal.run(self._result.to_arrow())

    def to_pandas(self) -> pd.DataFrame:
        """Read the whole answer into a `pandas.DataFrame`; needs the extra `pandas`."""
        return self._portal.run(self._result.to_pandas())

    def rows(self) -> list[tuple[Any, ...]]:
        """Read the whole answer into tuples of Python values, one a row, in the order of `schema`."""
        return self._portal.run(self._result.rows())

    def cancel(self) -> None:
        """End the statement at the server. Does nothing once the answer is complete, or the broker closed."""
        if not self._portal.closed:
            self._portal.run(self._cancel())

    async def _cancel(self) -> None:
        # On the loop's own thread: a call object may be touched from there alone.
        self._result.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()
