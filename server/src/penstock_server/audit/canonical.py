"""One entry as one line: the only bytes that stand for it, so that a digest over them is a digest over the entry.

```json
{"sequence":1,"previous":"00...","at":"2026-11-24T09:00:00.000000Z","event":"service.started",...,"digest":"9f..."}
```
Keys have this order and no blanks between them, text is ASCII with JSON escapes, instants have six digits and end in Z.
The digest is hex SHA-256 over the 32 bytes of the previous digest and the line up to `,"digest"`.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NewType

from penstock_server.model.audit import AuditEntry, AuditRecord, Event, Outcome
from penstock_server.model.decision import PolicyVersion

GENESIS: Final = "0" * 64
"""The previous digest of the first entry."""

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
"""No entry is longer; a longer run of bytes without a line break is damage."""

EncodedRecord = NewType("EncodedRecord", bytes)
"""The canonical bytes of a record, without its place in the chain."""

_TAIL: Final = re.compile(rb',"digest":"([0-9a-f]{64})"\}\n')
_TAIL_LENGTH: Final = len(',"digest":""}\n') + 64
_MAX_CHAIN_BYTES: Final = 512
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A line of the chain with its sequence and digest."""

    sequence: int
    digest: str
    line: bytes


def encode(record: AuditRecord) -> EncodedRecord:
    """Give the canonical bytes of a record.

    Raises:
        ValueError: its instant has no zone, or it is longer than any line may be.
    """
    if record.occurred_at.tzinfo is None:
        raise ValueError("an instant needs a zone")
    fields = {
        "at": record.occurred_at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "event": record.event.value,
        "outcome": record.outcome.value,
        "request_id": record.request_id,
        "issuer": record.issuer,
        "subject": record.subject,
        "username": record.username,
        "resources": record.resources,
        "policy_version": record.policy_version,
        "reason": record.reason,
        "details": record.details,
    }
    text = json.dumps(fields, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    if len(text) > MAX_LINE_BYTES - _MAX_CHAIN_BYTES:
        raise ValueError(f"a record of {len(text)} bytes is too long")
    return EncodedRecord(text.encode("ascii"))


def chain(record: EncodedRecord, *, sequence: int, previous: str) -> Link:
    """Number a record and chain it to the digest before it."""
    body = _body(record, sequence, previous)
    digest = _digest(body, previous)
    return Link(sequence=sequence, digest=digest, line=body + f',"digest":"{digest}"}}\n'.encode("ascii"))


def parse(line: bytes) -> AuditEntry:
    """Read a line back, with its line break.

    Raises:
        ValueError: it is not the canonical line of any entry, or its digest is wrong; the text says which.
    """
    match = _TAIL.fullmatch(line[-_TAIL_LENGTH:])
    if match is None:
        raise ValueError("is not a complete record")
    try:
        fields: dict[str, Any] = json.loads(line)
        record = _record(fields)
        sequence, previous = _place(fields)
        body = _body(encode(record), sequence, previous)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("is not a record") from error
    # SECURITY: what is shown to an auditor is compared with the bytes themselves, so that no blank, repeated key or
    # other spelling can show one thing and hash as another.
    if body != line[:-_TAIL_LENGTH]:
        raise ValueError("is not written as records are")
    digest = match[1].decode("ascii")
    if _digest(body, previous) != digest:
        raise ValueError("has been changed: its digest does not match")
    return AuditEntry(sequence=sequence, record=record, previous_digest=previous, digest=digest)


def _place(fields: dict[str, Any]) -> tuple[int, str]:
    sequence, previous = fields["sequence"], fields["previous"]
    if type(sequence) is not int or _DIGEST.fullmatch(previous) is None:
        raise ValueError("a sequence is a number and a digest 64 hex digits")
    return sequence, previous


def _body(record: EncodedRecord, sequence: int, previous: str) -> bytes:
    return f'{{"sequence":{sequence},"previous":"{previous}",'.encode("ascii") + record[1:-1]


def _digest(body: bytes, previous: str) -> str:
    return hashlib.sha256(bytes.fromhex(previous) + body).hexdigest()


def _record(fields: dict[str, Any]) -> AuditRecord:
    version = fields["policy_version"]
    return AuditRecord(
        event=Event(fields["event"]),
        outcome=Outcome(fields["outcome"]),
        occurred_at=datetime.fromisoformat(fields["at"]),
        request_id=fields["request_id"],
        issuer=fields["issuer"],
        subject=fields["subject"],
        username=fields["username"],
        resources=tuple(fields["resources"]),
        policy_version=None if version is None else PolicyVersion(version),
        reason=fields["reason"],
        details=tuple((name, text) for name, text in fields["details"]),
    )
