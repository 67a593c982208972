"""What the audit keeps of a statement."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

from penstock_server.engines.base import BoundStatement, ResultCounts
from penstock_server.errors import PenstockError, Reason, Unavailable
from penstock_server.model.audit import AuditRecord, Event, Outcome
from penstock_server.model.clock import Clock
from penstock_server.model.decision import PolicyVersion
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestContext
from penstock_server.query.requests import MAX_SQL_BYTES, QueryRequest, parameters_text
from penstock_server.query.resolution import Resolution

CANCELLED = "CANCELLED"
"""The reason of a statement whose client went away; no error of ours, since nobody is there to be told."""

Details = tuple[tuple[str, str], ...]


class StatementRecords:
    """Writes the records of one statement; everything it needs is known before the statement is looked at.

    `about` says of whom it is asked, where that is not the principal.
    """

    def __init__(
        self, clock: Clock, principal: Principal, context: RequestContext, request: QueryRequest, *, about: Details = ()
    ) -> None:
        self._clock = clock
        self._principal = principal
        self._context = context
        self._request = request
        self._about = about
        self._policy_version: PolicyVersion | None = None
        self._tables: tuple[str, ...] = ()

    def decided(self, version: PolicyVersion) -> None:
        """Remember which policy version decides."""
        self._policy_version = version

    def admitted(self, event: Event, resolution: Resolution, bound: BoundStatement) -> AuditRecord:
        """The record that must be durable before anything is answered."""
        self._tables = tuple(str(decision.table.name) for decision in resolution.decisions)
        columns = {table.key(): names for table, names in bound.used_columns}
        details: list[tuple[str, str]] = [*self._statement_details()]
        for decision in resolution.decisions:
            name = decision.table.name
            details.append((f"columns of {name}", json.dumps(columns.get(name.key(), ()), ensure_ascii=False)))
            details.append((f"fingerprint of {name}", decision.fingerprint))
        return self._record(event, Outcome.ALLOWED, reason="", details=tuple(details))

    def explained(self, tables: tuple[str, ...]) -> AuditRecord:
        """The record of an explanation for an administrator; `tables` as the statement names them."""
        self._tables = tables
        return self._record(Event.ACCESS_EXPLAINED, Outcome.ALLOWED, reason="", details=self._statement_details())

    def refused(self, error: PenstockError | None) -> AuditRecord:
        """The record of a statement that was not let in; `error` None = the client went away before."""
        return self._record(
            Event.QUERY_REFUSED,
            Outcome.FAILED if error is None else outcome_of(error),
            reason=CANCELLED if error is None else error.reason.value,
            details=(*self._statement_details(), *_error_details(error)),
            resources=self._tables or _named_by(error),
        )

    def finished(self, counts: ResultCounts, engine_time: timedelta) -> AuditRecord:
        """The record of an answer that is complete."""
        details = _count_details(counts, engine_time)
        return self._record(Event.QUERY_FINISHED, Outcome.ALLOWED, reason="", details=details)

    def broken_off(self, error: PenstockError | None, counts: ResultCounts, engine_time: timedelta) -> AuditRecord:
        """The record of an answer that was let in and is not complete; `error` None = the client went away."""
        return self._record(
            Event.QUERY_FINISHED,
            Outcome.FAILED,
            reason=CANCELLED if error is None else error.reason.value,
            details=(*_count_details(counts, engine_time), *_error_details(error)),
        )

    def _statement_details(self) -> Details:
        sql = self._request.sql
        details: list[tuple[str, str]] = []
        size = len(sql.encode(errors="surrogatepass"))
        if size <= MAX_SQL_BYTES:
            details.append(("sql", sql.encode(errors="backslashreplace").decode()))
        else:
            digest = hashlib.sha256(sql.encode(errors="surrogatepass")).hexdigest()
            details.extend((("sql_bytes", str(size)), ("sql_sha256", digest)))
        if self._request.parameters:
            names = self._request.parameter_names
            text = parameters_text(self._request.parameters[:1_001], names[:1_001])
            details.append(("parameters", text if len(text) <= MAX_SQL_BYTES else f"{len(text)} characters"))
        if self._request.catalog is not None:
            details.append(("catalog", self._request.catalog[:1_024]))
        return tuple(details)

    def _record(
        self,
        event: Event,
        outcome: Outcome,
        *,
        reason: str,
        details: Details,
        resources: tuple[str, ...] | None = None,
    ) -> AuditRecord:
        return AuditRecord(
            event=event,
            outcome=outcome,
            occurred_at=self._clock.now(),
            request_id=self._context.request_id,
            issuer=self._principal.issuer,
            subject=self._principal.subject,
            username=self._principal.username or "",
            resources=self._tables if resources is None else resources,
            policy_version=self._policy_version,
            reason=reason,
            details=(*self._about, *details, ("peer", self._context.peer_address)),
        )


def outcome_of(error: PenstockError) -> Outcome:
    """REFUSED where the caller is told no, FAILED where we could not do what was right."""
    failed = isinstance(error, Unavailable) or error.reason is Reason.INTERNAL
    return Outcome.FAILED if failed else Outcome.REFUSED


def _named_by(error: PenstockError | None) -> tuple[str, ...]:
    """Give the table that a refusal is about, as the statement named it."""
    return () if error is None else tuple(value for name, value in error.metadata if name == "table")


def _count_details(counts: ResultCounts, engine_time: timedelta) -> Details:
    return (
        ("rows", str(counts.rows)),
        ("batches", str(counts.batches)),
        ("bytes", str(counts.bytes)),
        ("engine_milliseconds", str(round(engine_time.total_seconds() * 1000))),
    )


def _error_details(error: PenstockError | None) -> Details:
    if error is None:
        return ()
    if error.reason is Reason.SQL_EXECUTION:
        return ()  # SECURITY: it may quote a cell of the caller's rows; the audit never holds one
    details: list[tuple[str, str]] = [("message", error.message)]
    if error.detail:
        details.append(("detail", error.detail))
    return tuple(details)
