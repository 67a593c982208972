from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from penstock_server.audit.canonical import GENESIS, chain, encode
from penstock_server.audit.verification import verify
from penstock_server.model.audit import AuditCheckpoint
from support.audit import NOW, audit_record


def trail(folder: Path, *segments: str) -> list[str]:
    """Write a chain, one record a letter, one segment an argument; gives all digests."""
    folder.mkdir(exist_ok=True)
    digests = [GENESIS]
    for names in segments:
        path = folder / f"{len(digests):016d}.jsonl"
        content = b""
        for name in names:
            link = chain(encode(audit_record(name)), sequence=len(digests), previous=digests[-1])
            digests.append(link.digest)
            content += link.line
        path.write_bytes(content)
    return digests


def checkpoint(sequence: int, digest: str) -> AuditCheckpoint:
    return AuditCheckpoint(sequence=sequence, digest=digest, occurred_at=NOW)


def file(folder: Path, first: int = 1) -> Path:
    return folder / f"{first:016d}.jsonl"


def test_a_whole_trail_is_ok_with_its_end(tmp_path: Path) -> None:
    digests = trail(tmp_path, "abc", "de")
    result = verify(tmp_path)
    assert (result.ok, result.entries, result.digest, result.unfinished_bytes) == (True, 5, digests[5], 0)


def test_an_empty_folder_is_ok_and_a_missing_one_an_error(tmp_path: Path) -> None:
    assert verify(tmp_path).entries == 0
    with pytest.raises(FileNotFoundError):
        verify(tmp_path / "absent")


def test_a_record_that_is_being_written_is_told_and_no_damage(tmp_path: Path) -> None:
    trail(tmp_path, "abc")
    path = file(tmp_path)
    path.write_bytes(path.read_bytes()[:-10])
    result = verify(tmp_path)
    assert (result.ok, result.entries) == (True, 2)
    assert result.unfinished_bytes > 0


def test_a_change_is_found_where_it_is(tmp_path: Path) -> None:
    trail(tmp_path, "abc")
    path = file(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"request_id":"b"', b'"request_id":"x"'))
    result = verify(tmp_path)
    assert not result.ok
    assert (result.entries, result.broken) == (
        1,
        f"{path}:2: this line has been changed: its digest does not match",
    )


@pytest.mark.parametrize(
    ("order", "broken"),
    [
        ([0, 2], ":2: record 2 should stand here, not 3"),
        ([1, 2], ":1: record 1 should stand here, not 2"),
        ([0, 2, 1], ":2: record 2 should stand here, not 3"),
        ([0, 1, 1, 2], ":3: record 3 should stand here, not 2"),
    ],
)
def test_a_removed_moved_or_repeated_record_is_found(order: list[int], broken: str, tmp_path: Path) -> None:
    trail(tmp_path, "abc")
    lines = file(tmp_path).read_bytes().splitlines(keepends=True)
    file(tmp_path).write_bytes(b"".join(lines[index] for index in order))
    assert verify(tmp_path).broken.endswith(broken)


def test_a_record_rewritten_with_a_fitting_digest_breaks_the_next_link(tmp_path: Path) -> None:
    digests = trail(tmp_path, "abc")
    lines = file(tmp_path).read_bytes().splitlines(keepends=True)
    lines[1] = chain(encode(audit_record("forged")), sequence=2, previous=digests[1]).line
    file(tmp_path).write_bytes(b"".join(lines))
    assert verify(tmp_path).broken.endswith(":3: record 3 does not follow from the one before it")


@pytest.mark.parametrize("missing", [1, 3])
def test_a_missing_segment_is_found(missing: int, tmp_path: Path) -> None:
    trail(tmp_path, "ab", "cd", "ef")
    file(tmp_path, missing).unlink()
    assert f"a file with record {missing} should come before this one" in verify(tmp_path).broken


def test_a_torn_line_in_an_earlier_segment_is_damage(tmp_path: Path) -> None:
    trail(tmp_path, "ab", "cd")
    path = file(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    assert verify(tmp_path).broken == f"{path}:2: this line is not a complete record"


def test_a_cut_end_shows_only_against_a_checkpoint(tmp_path: Path) -> None:
    digests = trail(tmp_path, "abc")
    lines = file(tmp_path).read_bytes().splitlines(keepends=True)
    file(tmp_path).write_bytes(b"".join(lines[:2]))
    assert verify(tmp_path).ok
    assert verify(tmp_path, checkpoint=checkpoint(2, digests[2])).ok
    assert (
        "the end is missing: the checkpoint names record 3"
        in verify(tmp_path, checkpoint=checkpoint(3, digests[3])).broken
    )


def test_a_chain_written_anew_shows_against_a_checkpoint(tmp_path: Path) -> None:
    digests = trail(tmp_path, "abc")
    trail(tmp_path, "xyzw")
    result = verify(tmp_path, checkpoint=checkpoint(3, digests[3]))
    assert result.broken.endswith(":3: record 3 is not the one of the checkpoint; the chain was written anew")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_changed_byte_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("trail")
    digests = trail(folder, "abcd")
    content = bytearray(file(folder).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    file(folder).write_bytes(bytes(content))
    result = verify(folder, checkpoint=checkpoint(4, digests[4]))
    assert not result.ok
