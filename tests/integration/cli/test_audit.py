from __future__ import annotations

import json
from pathlib import Path

import pytest
from penstock_server.audit.canonical import encode
from penstock_server.audit.disk import SystemDisk
from penstock_server.audit.journal import Journal
from penstock_server.cli.main import run
from penstock_server.model.audit import Event
from support.audit import NOW, audit_record
from support.configuration import write_configuration

RECORDS = [
    audit_record("r1", event=Event.SERVICE_STARTED),
    audit_record("r2", event=Event.QUERY_ADMITTED, details=(("sql", "select '\x1b[2J'"),)),
    audit_record("r3", event=Event.QUERY_FINISHED),
    audit_record("r4", event=Event.CREDENTIALS_ISSUED),
]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose audit trail holds the records above."""
    path = write_configuration(tmp_path)
    journal = Journal.open(tmp_path / "var" / "audit", now=NOW, disk=SystemDisk())
    journal.append([encode(record) for record in RECORDS])
    journal.close()
    return path


def segment(config: Path) -> Path:
    return config.parent / "var" / "audit" / f"{1:016d}.jsonl"


def shown(capsys: pytest.CaptureFixture[str], config: Path, *arguments: str) -> list[str]:
    assert run(["audit", "show", "--config", str(config), *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_show_prints_a_line_for_each_record(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, config)
    assert len(lines) == 4
    assert lines[1] == ("     2  2026-11-24 09:00:00  allowed query.admitted         alice         lake.nyc.flights")


@pytest.mark.parametrize(
    ("arguments", "sequences"),
    [
        (["--last", "2"], ["3", "4"]),
        (["--last", "0"], ["1", "2", "3", "4"]),
        (["--event", "query"], ["2", "3"]),
        (["--event", "query", "--last", "1"], ["3"]),
        (["--request-id", "r4"], ["4"]),
        (["--user", "alice"], ["1", "2", "3", "4"]),
        (["--user", "bob"], []),
    ],
)
def test_show_chooses_records(
    arguments: list[str], sequences: list[str], config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [line.split()[0] for line in shown(capsys, config, *arguments)] == sequences


def test_details_come_with_their_escape_sequences_made_visible(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(capsys, config, "--event", "query.admitted", "--details")
    assert "        sql: select '\\x1b[2J'" in lines
    assert "        request: r2" in lines


def test_json_gives_the_lines_of_the_file(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, config, "--json") == segment(config).read_text().splitlines()


def test_a_path_needs_no_configuration(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "show", "--path", str(segment(config).parent)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_a_whole_trail_is_exit_code_0_with_its_checkpoint(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "verify", "--config", str(config)]) == 0
    digest = json.loads(segment(config).read_text().splitlines()[-1])["digest"]
    assert capsys.readouterr().out == f"whole  4 records, checkpoint \n  4:{digest}\n"
    assert run(["audit", "verify", "--config", str(config), "--checkpoint", f"4:{digest}"]) == 0


def test_a_broken_trail_is_exit_code_1_and_says_where(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = segment(config)
    path.write_text(path.read_text().replace('"request_id":"r3"', '"request_id":"r9"'))
    assert run(["audit", "verify", "--config", str(config)]) == 1
    assert capsys.readouterr().out == (
        f"broken  {path}:3: this line has been changed: its digest does not match\n  2 records before it are whole\n"
    )
    assert run(["audit", "show", "--config", str(config)]) == 1
    assert "run `penstock-server audit verify`" in capsys.readouterr().err


def test_a_cut_end_is_found_with_a_checkpoint(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = segment(config)
    lines = path.read_text().splitlines(keepends=True)
    digest = json.loads(lines[-1])["digest"]
    path.write_text("".join(lines[:3]))
    arguments = ["audit", "verify", "--config", str(config), "--json"]
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out)["records"] == 3
    assert run([*arguments, "--checkpoint", f"4:{digest}"]) == 1
    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["ok"], verdict["records"]) == (False, 3)
    assert "the end is missing" in verdict["broken"]


def test_a_record_that_is_being_written_is_left_out(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = segment(config)
    path.write_text(path.read_text()[:-5])
    assert len(shown(capsys, config)) == 3
    assert run(["audit", "verify", "--config", str(config)]) == 0
    assert "being written" in capsys.readouterr().out


@pytest.mark.parametrize("checkpoint", ["4", "4:xyz", ":" + "a" * 64, "x:" + "a" * 64, "4:" + "A" * 64])
def test_a_malformed_checkpoint_is_wrong_usage(checkpoint: str, config: Path) -> None:
    assert run(["audit", "verify", "--config", str(config), "--checkpoint", checkpoint]) == 2


def test_a_missing_trail_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "show", "--path", str(tmp_path / "absent")]) == 1
    assert capsys.readouterr().err == f"{tmp_path}/absent: there is no audit trail here\n"
