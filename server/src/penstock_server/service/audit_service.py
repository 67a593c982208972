"""penstock.v1.AuditService."""

from __future__ import annotations

from penstock.v1 import audit_service_pb2 as messages

from penstock_server.broker.audit import AuditBroker
from penstock_server.model.audit import AuditEntry, Outcome
from penstock_server.service.calls import Call, caller_of
from penstock_server.service.methods import Method, UnaryMethod
from penstock_server.service.packing import timestamp
from penstock_server.service.paging import PageTokens

NAME = "penstock.v1.AuditService"

_OUTCOMES = {
    Outcome.ALLOWED: messages.AUDIT_OUTCOME_ALLOWED,
    Outcome.REFUSED: messages.AUDIT_OUTCOME_REFUSED,
    Outcome.FAILED: messages.AUDIT_OUTCOME_FAILED,
}


class AuditService:
    """Shows the audit trail to auditors."""

    def __init__(self, broker: AuditBroker, pages: PageTokens) -> None:
        self._broker = broker
        self._pages = pages

    def methods(self) -> tuple[Method, ...]:
        """Give the methods that are served."""
        return (
            UnaryMethod(
                name=f"/{NAME}/ListAuditRecords",
                request=messages.ListAuditRecordsRequest,
                answer=self.list_audit_records,
            ),
            UnaryMethod(
                name=f"/{NAME}/GetAuditCheckpoint",
                request=messages.GetAuditCheckpointRequest,
                answer=self.get_audit_checkpoint,
            ),
        )

    async def list_audit_records(
        self, request: messages.ListAuditRecordsRequest, call: Call
    ) -> messages.ListAuditRecordsResponse:
        """List records, oldest first."""
        page = self._pages.request(call, size=request.page_size, token=request.page_token, question="")
        entries = await self._broker.list_records(caller_of(call), page)
        return messages.ListAuditRecordsResponse(
            records=[_record(entry) for entry in entries.items],
            next_page_token=self._pages.token(call, end=entries.end, question=""),
        )

    async def get_audit_checkpoint(
        self, _: messages.GetAuditCheckpointRequest, call: Call
    ) -> messages.GetAuditCheckpointResponse:
        """Give the end of the chain."""
        checkpoint = await self._broker.checkpoint(caller_of(call))
        return messages.GetAuditCheckpointResponse(
            sequence=checkpoint.sequence, digest=checkpoint.digest, take_time=timestamp(checkpoint.occurred_at)
        )


def _record(entry: AuditEntry) -> messages.AuditRecord:
    record = entry.record
    return messages.AuditRecord(
        sequence=entry.sequence,
        occur_time=timestamp(record.occurred_at),
        event=record.event.value,
        outcome=_OUTCOMES[record.outcome],
        request_id=record.request_id,
        issuer=record.issuer,
        subject=record.subject,
        username=record.username,
        resources=record.resources,
        policy_version=record.policy_version or "",
        reason=record.reason,
        details=[messages.AuditDetail(name=name, value=value) for name, value in record.details],
        digest=entry.digest,
    )
