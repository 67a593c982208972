from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from penstock_server.audit import log as log_module
from penstock_server.audit.canonical import GENESIS
from penstock_server.audit.log import RESERVE_BYTES, AuditLog
from penstock_server.audit.verification import verify
from penstock_server.errors import Reason, Unavailable
from penstock_server.model.audit import Event
from penstock_server.model.clock import SystemClock
from support.audit import DiaryDisk, audit_record

Opener = Callable[..., AuditLog]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opener]:
    """Open the trail under `tmp_path / "audit"`; closed at the end."""
    logs: list[AuditLog] = []

    def open_log(disk: DiaryDisk | None = None) -> AuditLog:
        logs.append(AuditLog.open(tmp_path / "audit", SystemClock(), disk=disk))
        return logs[-1]

    yield open_log
    for log in logs:
        await log.close()


async def refused(recording: Awaitable[None]) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        await recording
    assert caught.value.reason is Reason.AUDIT_UNAVAILABLE
    assert caught.value.message == "the audit trail is unavailable"
    return caught.value


async def test_a_record_is_synced_before_record_returns(opened: Opener) -> None:
    disk = DiaryDisk()
    log = opened(disk)
    await log.record(audit_record())
    disk.diary.append("returned")
    assert disk.diary == ["truncate", "folder synced", "write", "synced", "returned"]


async def test_record_waits_for_as_long_as_the_sync_takes(opened: Opener) -> None:
    disk = DiaryDisk(hold=threading.Event())
    log = opened(disk)
    recording = asyncio.create_task(log.record(audit_record()))
    await asyncio.to_thread(disk.syncing.wait, 20)
    assert not recording.done()
    assert (await log.checkpoint()).sequence == 0
    assert await log.entries(after=0, limit=10) == ()
    assert disk.hold is not None
    disk.hold.set()
    await recording
    assert (await log.checkpoint()).sequence == 1


async def test_records_that_come_during_a_sync_share_the_next_one(opened: Opener) -> None:
    disk = DiaryDisk(hold=threading.Event())
    log = opened(disk)
    first = asyncio.create_task(log.record(audit_record("first")))
    await asyncio.to_thread(disk.syncing.wait, 20)
    others = [asyncio.create_task(log.record(audit_record(str(number)))) for number in range(50)]
    await asyncio.sleep(0)
    assert disk.hold is not None
    disk.hold.set()
    await asyncio.gather(first, *others)
    assert disk.diary.count("synced") == 2
    entries = await log.entries(after=0, limit=100)
    assert [entry.record.request_id for entry in entries] == ["first", *map(str, range(50))]


async def test_a_caller_that_goes_away_leaves_its_record(opened: Opener, tmp_path: Path) -> None:
    disk = DiaryDisk(hold=threading.Event())
    log = opened(disk)
    recording = asyncio.create_task(log.record(audit_record("gone")))
    await asyncio.to_thread(disk.syncing.wait, 20)
    recording.cancel()
    assert disk.hold is not None
    disk.hold.set()
    await log.record(audit_record("next"))
    assert [entry.record.request_id for entry in await log.entries(after=0, limit=9)] == ["gone", "next"]


async def test_a_full_disk_is_unavailable_and_heals_by_itself(opened: Opener, tmp_path: Path) -> None:
    disk = DiaryDisk()
    log = opened(disk)
    await log.record(audit_record("before"))
    disk.full = True
    error = await refused(log.record(audit_record("lost")))
    assert "No space left" in error.detail
    await refused(log.record(audit_record("lost too")))
    disk.full = False
    await log.record(audit_record("after"))
    assert [entry.record.request_id for entry in await log.entries(after=0, limit=9)] == ["before", "after"]
    assert verify(tmp_path / "audit").ok


async def test_a_failing_sync_is_unavailable_and_its_bytes_are_cut(opened: Opener, tmp_path: Path) -> None:
    disk = DiaryDisk()
    log = opened(disk)
    await log.record(audit_record("before"))
    disk.broken = True
    await refused(log.record(audit_record("lost", details=(("sql", "x" * 5000),))))
    disk.broken = False
    await log.record(audit_record("after"))
    assert [entry.record.request_id for entry in await log.entries(after=0, limit=9)] == ["before", "after"]
    result = verify(tmp_path / "audit")
    assert (result.ok, result.entries, result.unfinished_bytes) == (True, 2, 0)


async def test_a_failure_is_logged_once_and_so_is_its_end(opened: Opener, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    disk = DiaryDisk(full=True)
    log = opened(disk)
    for name in "abc":
        await refused(log.record(audit_record(name)))
    disk.full = False
    await log.record(audit_record("after"))
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


async def test_a_record_that_cannot_be_written_fails_alone(opened: Opener) -> None:
    log = opened()
    naive = audit_record("naive", at=audit_record().occurred_at.replace(tzinfo=None))
    results = await asyncio.gather(
        log.record(audit_record("a")), log.record(naive), log.record(audit_record("b")), return_exceptions=True
    )
    assert isinstance(results[1], Unavailable)
    assert [entry.record.request_id for entry in await log.entries(after=0, limit=9)] == ["a", "b"]


async def test_refused_tokens_leave_a_reserve_of_the_disk(opened: Opener) -> None:
    disk = DiaryDisk(free=RESERVE_BYTES - 1)
    log = opened(disk)
    await refused(log.record(audit_record("nobody", event=Event.AUTHENTICATION_REFUSED)))
    await log.record(audit_record("alice"))
    disk.free = RESERVE_BYTES
    await log.record(audit_record("nobody", event=Event.AUTHENTICATION_REFUSED))
    assert [entry.record.request_id for entry in await log.entries(after=0, limit=9)] == ["alice", "nobody"]


async def test_refused_tokens_leave_a_reserve_of_the_queue(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "MAX_WAITING", 4)
    disk = DiaryDisk(hold=threading.Event())
    log = opened(disk)
    tasks = [asyncio.create_task(log.record(audit_record("first")))]
    await asyncio.to_thread(disk.syncing.wait, 20)
    tasks += [asyncio.create_task(log.record(audit_record(name))) for name in "ab"]
    await asyncio.sleep(0)
    await refused(log.record(audit_record("nobody", event=Event.AUTHENTICATION_REFUSED)))
    tasks += [asyncio.create_task(log.record(audit_record(name))) for name in "cd"]
    await asyncio.sleep(0)
    assert "too many" in (await refused(log.record(audit_record("e")))).detail
    assert disk.hold is not None
    disk.hold.set()
    await asyncio.gather(*tasks)


async def test_pages_of_entries_are_those_after_a_sequence(opened: Opener) -> None:
    log = opened()
    await asyncio.gather(*(log.record(audit_record(str(number))) for number in range(1, 8)))
    assert [entry.sequence for entry in await log.entries(after=0, limit=3)] == [1, 2, 3]
    assert [entry.sequence for entry in await log.entries(after=3, limit=3)] == [4, 5, 6]
    assert [entry.sequence for entry in await log.entries(after=6, limit=3)] == [7]
    assert await log.entries(after=7, limit=3) == ()
    assert await log.entries(after=900, limit=3) == ()


async def test_a_changed_entry_is_never_shown(opened: Opener, tmp_path: Path) -> None:
    log = opened()
    await log.record(audit_record("a"))
    (segment,) = (tmp_path / "audit").glob("*.jsonl")
    segment.write_bytes(segment.read_bytes().replace(b'"alice"', b'"mallo"'))
    with pytest.raises(Unavailable) as caught:
        await log.entries(after=0, limit=1)
    assert "has been changed" in caught.value.detail


async def test_the_checkpoint_is_the_end_of_the_chain(opened: Opener) -> None:
    log = opened()
    assert (await log.checkpoint()).digest == GENESIS
    await log.record(audit_record())
    (entry,) = await log.entries(after=0, limit=9)
    checkpoint = await log.checkpoint()
    assert (checkpoint.sequence, checkpoint.digest) == (1, entry.digest)


async def test_closing_syncs_what_waits_and_refuses_what_comes(tmp_path: Path) -> None:
    log = AuditLog.open(tmp_path / "audit", SystemClock())
    recording = asyncio.create_task(log.record(audit_record()))
    await asyncio.sleep(0)
    await log.close()
    await recording
    assert verify(tmp_path / "audit").entries == 1
    assert "closed" in (await refused(log.record(audit_record()))).detail


async def test_a_thousand_records_share_two_syncs(opened: Opener) -> None:
    disk = DiaryDisk()
    log = opened(disk)
    await asyncio.gather(*(log.record(audit_record(str(number))) for number in range(1000)))
    assert disk.diary.count("synced") <= 2


async def test_an_empty_trail_has_no_entries(opened: Opener) -> None:
    assert await opened().entries(after=0, limit=10) == ()


async def test_a_trail_may_be_closed_twice(opened: Opener) -> None:
    log = opened()
    await log.close()
    await log.close()
