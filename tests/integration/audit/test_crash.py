"""The trail in a process of its own that is killed, or whose disk is full."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from penstock_server.audit.log import AuditLog
from penstock_server.audit.reading import read_entries
from penstock_server.audit.verification import verify
from penstock_server.model.audit import Event
from penstock_server.model.clock import SystemClock

WRITER = Path(__file__).parent / "writer.py"
TESTS = Path(__file__).parents[2]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(WRITER), str(TESTS), str(folder), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("acknowledged", [1, 40, 400])
async def test_what_was_acknowledged_survives_a_kill(acknowledged: int, tmp_path: Path) -> None:
    with start(tmp_path / "audit") as process:
        assert process.stdout is not None
        names = [process.stdout.readline().strip() for _ in range(acknowledged)]
        process.send_signal(signal.SIGKILL)
        names += [line.strip() for line in process.stdout if line.endswith("\n")]
    assert process.returncode == -signal.SIGKILL

    log = AuditLog.open(tmp_path / "audit", SystemClock())  # the lock went with the process
    await log.close()

    result = verify(tmp_path / "audit")
    assert result.ok
    assert result.unfinished_bytes == 0
    entries = read_entries(tmp_path / "audit", after=0, up_to=result.entries, limit=10**6)
    kept = [entry.record.request_id for entry in entries if entry.record.event is Event.QUERY_ADMITTED]
    assert len(names) >= acknowledged
    assert set(names) <= set(kept)
    assert len(kept) == len(set(kept))


def test_a_full_disk_refuses_every_record_and_keeps_the_chain_whole(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the full disk: the kernel then cuts writes short, and refuses."""
    with start(tmp_path / "audit", "20000") as process:
        assert process.stdout is not None
        lines = [line.strip() for line in process.stdout]
    assert process.returncode == 0
    written = [line for line in lines if not line.startswith("AUDIT_UNAVAILABLE")]
    assert len(written) > 10
    assert lines[len(written) :] == ["AUDIT_UNAVAILABLE"] * 3
    result = verify(tmp_path / "audit")
    assert (result.ok, result.entries) == (True, len(written))
