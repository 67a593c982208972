import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from penstock_server.audit.log import AuditLog
from penstock_server.broker.refused_tokens import MAX_RULES, RefusedTokens
from penstock_server.model.audit import AuditRecord, Event
from penstock_server.model.clock import SystemClock
from support.transports import context

LONG = timedelta(seconds=30)


@pytest.fixture
async def audit(tmp_path: Path) -> AsyncIterator[AuditLog]:
    log = AuditLog.open(tmp_path / "audit", SystemClock())
    yield log
    await log.close()


async def refusals(audit: AuditLog) -> list[AuditRecord]:
    entries = await audit.entries(after=0, limit=1_000)
    return [entry.record for entry in entries if entry.record.event is Event.AUTHENTICATION_REFUSED]


async def counts(audit: AuditLog) -> Counter[str]:
    found: Counter[str] = Counter()
    for record in await refusals(audit):
        found[record.reason] += int(dict(record.details)["count"])
    return found


async def test_a_flood_makes_one_record_for_each_rule_and_counts_all(audit: AuditLog) -> None:
    refused = RefusedTokens(audit, SystemClock(), pause=LONG)
    refused.start()
    for number in range(10_000):
        refused.note("expired: too old" if number % 2 else "signature: bad", context())
        if number % 500 == 0:
            await asyncio.sleep(0.005)  # time enough to write, were it not for the pause
    await refused.close()
    assert await counts(audit) == {"expired: too old": 5_000, "signature: bad": 5_000}
    assert len(await refusals(audit)) <= 4


async def test_the_first_refusal_is_written_at_once(audit: AuditLog) -> None:
    refused = RefusedTokens(audit, SystemClock(), pause=LONG)
    refused.start()
    refused.note("expired: too old", context())
    for _ in range(1_000):
        if (await audit.checkpoint()).sequence > 0:
            break
        await asyncio.sleep(0.01)
    assert [record.request_id for record in await refusals(audit)] == ["the-request"]
    await refused.close()


async def test_invented_rules_cannot_grow_the_memory(audit: AuditLog) -> None:
    refused = RefusedTokens(audit, SystemClock(), pause=LONG)
    for number in range(10_000):
        refused.note(f"rule-{number}: x", context())
    assert len(refused._counts) <= MAX_RULES + 1
    refused.start()
    await refused.close()
    assert sum((await counts(audit)).values()) == 10_000


async def test_an_audit_that_cannot_be_written_does_not_end_the_writer(tmp_path: Path) -> None:
    audit = AuditLog.open(tmp_path / "closed", SystemClock())
    await audit.close()
    refused = RefusedTokens(audit, SystemClock(), pause=timedelta(0))
    refused.start()
    for _ in range(3):
        refused.note("expired: a", context())
        for _ in range(5):
            await asyncio.sleep(0)
    assert refused._writer is not None
    assert not refused._writer.done()
    await refused.close()
