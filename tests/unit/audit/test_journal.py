from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from penstock_server.audit.canonical import encode
from penstock_server.audit.disk import SystemDisk
from penstock_server.audit.journal import Journal
from penstock_server.audit.reading import read_entries
from penstock_server.audit.verification import verify
from penstock_server.errors import ConfigurationError
from penstock_server.model.audit import AuditEntry, Event
from support.audit import NOW, DiaryDisk, audit_record


def open_journal(folder: Path, *, disk: SystemDisk | None = None, segment_bytes: int = 10**9) -> Journal:
    return Journal.open(folder, now=NOW, disk=disk or SystemDisk(), segment_bytes=segment_bytes)


def write(folder: Path, *names: str, segment_bytes: int = 10**9) -> None:
    """Write a batch a name, and close."""
    journal = open_journal(folder, segment_bytes=segment_bytes)
    for name in names:
        journal.append([encode(audit_record(name))])
    journal.close()


def read(folder: Path) -> list[AuditEntry]:
    result = verify(folder)
    assert result.broken == ""
    return list(read_entries(folder, after=0, up_to=result.entries, limit=10**6))


def only_segment(folder: Path) -> Path:
    (segment,) = folder.glob("*.jsonl")
    return segment


def test_a_trail_goes_on_where_it_ended(tmp_path: Path) -> None:
    write(tmp_path, "a", "b")
    write(tmp_path, "c")
    assert [(entry.sequence, entry.record.request_id) for entry in read(tmp_path)] == [(1, "a"), (2, "b"), (3, "c")]


def test_a_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "audit"
    write(folder, "a")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(only_segment(folder).stat().st_mode) == 0o600


def test_segments_follow_each_other_in_one_chain(tmp_path: Path) -> None:
    write(tmp_path, *"abcdefg", segment_bytes=700)
    names = sorted(path.name for path in tmp_path.glob("*.jsonl"))
    assert names == [f"{first:016d}.jsonl" for first in (1, 3, 5, 7)]
    write(tmp_path, "h", segment_bytes=700)
    assert [entry.record.request_id for entry in read(tmp_path)] == list("abcdefgh")
    assert [entry.sequence for entry in read_entries(tmp_path, after=3, up_to=8, limit=3)] == [4, 5, 6]


def test_a_second_process_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from penstock_server.audit.disk import SystemDisk
from penstock_server.audit.journal import Journal
from penstock_server.errors import ConfigurationError
from support.audit import NOW
try:
    Journal.open(Path({str(tmp_path)!r}), now=NOW, disk=SystemDisk())
except ConfigurationError as error:
    print(error)
else:
    print("opened")
"""
    command = [sys.executable, "-c", program]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert refused == (f"{tmp_path}: another process writes this audit trail; stop it, or set another `audit.path`\n")
    journal.close()
    assert subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout == "opened\n"


def test_one_process_opens_a_folder_once(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    with pytest.raises(ConfigurationError, match="another process"):
        open_journal(tmp_path)
    journal.close()


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_torn_last_record_is_cut_and_the_cut_is_recorded(kept: int, tmp_path: Path) -> None:
    write(tmp_path, "a", "b")
    segment = only_segment(tmp_path)
    whole = segment.read_bytes()
    end = whole.index(b"\n") + 1
    segment.write_bytes(whole[: end + kept] if kept >= 0 else whole[:kept])
    write(tmp_path, "c")
    entries = read(tmp_path)
    if kept == 0:
        assert [entry.record.request_id for entry in entries] == ["a", "c"]
        return
    assert [entry.record.request_id for entry in entries] == ["a", "", "c"]
    recovered = entries[1].record
    assert recovered.event is Event.AUDIT_RECOVERED
    details = dict(recovered.details)
    assert details["offset"] == str(end)
    assert details["bytes"] == str(kept if kept > 0 else len(whole) - end - 1)
    assert details["segment"] == segment.name


def test_a_torn_first_record_of_a_new_segment_is_cut(tmp_path: Path) -> None:
    write(tmp_path, *"abc", segment_bytes=700)
    last = tmp_path / f"{3:016d}.jsonl"
    last.write_bytes(last.read_bytes()[:50])
    write(tmp_path, "d", segment_bytes=700)
    assert [entry.record.event for entry in read(tmp_path)][2:] == [Event.AUDIT_RECOVERED, Event.QUERY_ADMITTED]


def test_a_segment_that_was_made_but_never_written_is_used(tmp_path: Path) -> None:
    write(tmp_path, *"ab", segment_bytes=700)
    (tmp_path / f"{3:016d}.jsonl").touch()
    write(tmp_path, "c", segment_bytes=700)
    assert [entry.record.request_id for entry in read(tmp_path)] == ["a", "b", "c"]


def test_pages_that_never_reached_the_disk_are_cut(tmp_path: Path) -> None:
    write(tmp_path, "a")
    segment = only_segment(tmp_path)
    with segment.open("ab") as file:
        file.write(b"\0" * 4096 + b'rest of a line"}\n')
    write(tmp_path, "b")
    entries = read(tmp_path)
    assert [entry.record.event for entry in entries][1:] == [Event.AUDIT_RECOVERED, Event.QUERY_ADMITTED]
    assert dict(entries[1].record.details)["bytes"] == str(4096 + 17)


def damage(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"request_id":"a"', b'"request_id":"x"'),
        (b'"request_id":"a"', b'"request_id":"\0"'),
        (b'"request_id":"a"', b'"request_id":"a\n'),
        (b'"sequence":1', b'"sequence":2'),
    ],
)
def test_a_damaged_record_in_the_middle_is_never_cut_but_refused(old: bytes, new: bytes, tmp_path: Path) -> None:
    write(tmp_path, "a", "b")
    segment = only_segment(tmp_path)
    damage(segment, old, new)
    before = segment.read_bytes()
    with pytest.raises(ConfigurationError, match=rf"^{segment}:1: this line .*; the audit trail was damaged"):
        open_journal(tmp_path)
    assert segment.read_bytes() == before


def test_a_removed_record_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a", "b", "c")
    segment = only_segment(tmp_path)
    kept = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(kept[0] + kept[2])
    with pytest.raises(ConfigurationError, match=r":2: record 2 should stand here, not 3"):
        open_journal(tmp_path)


def test_a_missing_segment_is_refused(tmp_path: Path) -> None:
    write(tmp_path, *"abcdef", segment_bytes=700)
    (tmp_path / f"{3:016d}.jsonl").unlink()
    with pytest.raises(ConfigurationError, match="record 3 should"):
        open_journal(tmp_path)


def test_a_shortened_earlier_segment_is_refused(tmp_path: Path) -> None:
    write(tmp_path, *"abcdef", segment_bytes=700)
    first = tmp_path / f"{1:016d}.jsonl"
    first.write_bytes(first.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(ConfigurationError, match="record 2 should"):
        open_journal(tmp_path)


def test_segments_of_another_chain_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "one", *"abcd", segment_bytes=700)
    write(tmp_path / "two", *"ABCD", segment_bytes=700)
    foreign = tmp_path / "two" / f"{3:016d}.jsonl"
    (tmp_path / "one" / foreign.name).write_bytes(foreign.read_bytes())
    with pytest.raises(ConfigurationError, match="record 3 does not follow from the one before it"):
        open_journal(tmp_path / "one")


def test_a_refused_folder_is_free_for_the_next(tmp_path: Path) -> None:
    write(tmp_path, "a", "b")
    segment = only_segment(tmp_path)
    whole = segment.read_bytes()
    damage(segment, b'"request_id":"a"', b'"request_id":"x"')
    with pytest.raises(ConfigurationError, match="damaged"):
        open_journal(tmp_path)
    segment.write_bytes(whole)
    open_journal(tmp_path).close()


def test_a_path_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "audit"):
        with pytest.raises(ConfigurationError, match="cannot be written"):
            open_journal(path)


def test_a_segment_is_never_followed_through_a_link(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.touch()
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / f"{1:016d}.jsonl").symlink_to(target)
    journal = open_journal(tmp_path / "audit")
    with pytest.raises(OSError, match="symbolic link"):
        journal.append([encode(audit_record("a"))])
    journal.close()
    assert target.read_bytes() == b""


def test_what_a_failed_batch_left_is_cut_before_the_next(tmp_path: Path) -> None:
    disk = DiaryDisk()
    journal = open_journal(tmp_path, disk=disk)
    journal.append([encode(audit_record("a"))])
    disk.full = True
    with pytest.raises(OSError, match="No space left"):
        journal.append([encode(audit_record("lost", details=(("sql", "x" * 9000),)))])
    disk.full = False
    journal.append([encode(audit_record("b"))])
    journal.close()
    assert [(entry.sequence, entry.record.request_id) for entry in read(tmp_path)] == [(1, "a"), (2, "b")]
    assert os.stat(only_segment(tmp_path)).st_size < 9000
