"""The audit trail, for auditors."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_server.broker.callers import Caller, Roles
from penstock_server.broker.decision_records import DecisionRecords, Question
from penstock_server.broker.pages import Page, PageRequest
from penstock_server.errors import InvalidRequest
from penstock_server.model.audit import AuditCheckpoint, AuditEntry, Event
from penstock_server.model.ports import AuditReader

MAX_PAGE_CHARACTERS = 512 * 1024
"""At four bytes a character, half of the 4 MiB that a gRPC client accepts by default."""


class AuditBroker:
    """Answers AuditService. Reading is itself recorded first, so a page may hold the record of its own reading."""

    def __init__(self, *, reader: AuditReader, roles: Roles, records: DecisionRecords) -> None:
        self._reader = reader
        self._roles = roles
        self._records = records

    async def list_records(self, caller: Caller, page: PageRequest) -> Page[AuditEntry]:
        """Give records, oldest first. Raises AccessDenied, InvalidRequest, Unavailable."""
        question = Question(event=Event.AUDIT_READ, caller=caller, resources=("records",))
        async with self._records.refusals(question):
            self._roles.require_auditor(caller.principal)
            limit = page.limit()
            after = _sequence(page.after)
        await self._records.allowed(question, None, details=(("after", str(after)), ("limit", str(limit))))
        entries = await self._reader.entries(after=after, limit=limit + 1)
        items = _fitting(entries[:limit])
        return Page(items=items, end=str(items[-1].sequence) if len(entries) > len(items) else "")

    async def checkpoint(self, caller: Caller) -> AuditCheckpoint:
        """Give the end of the chain. Raises AccessDenied, Unavailable."""
        question = Question(event=Event.AUDIT_READ, caller=caller, resources=("checkpoint",))
        async with self._records.refusals(question):
            self._roles.require_auditor(caller.principal)
        await self._records.allowed(question, None, details=())
        return await self._reader.checkpoint()


def _fitting(entries: Sequence[AuditEntry]) -> tuple[AuditEntry, ...]:
    """Give the first entries, at least one, of which no more text is asked than a client accepts in one message."""
    items: list[AuditEntry] = []
    characters = 0
    for entry in entries:
        characters += sum(len(name) + len(value) for name, value in entry.record.details)
        characters += sum(len(resource) for resource in entry.record.resources)
        if items and characters > MAX_PAGE_CHARACTERS:
            break
        items.append(entry)
    return tuple(items)


def _sequence(after: str) -> int:
    if not after:
        return 0
    if not (after.isascii() and after.isdigit()):
        raise InvalidRequest("page_token", "what the page before gave")
    return int(after)
