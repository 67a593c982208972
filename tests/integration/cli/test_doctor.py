from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from penstock_server.cli.doctor_checks import barriers, files, finding, installation, issuers, machine
from penstock_server.cli.doctor_checks.finding import Finding, Verdict
from penstock_server.cli.main import run
from penstock_server.config.loading import load
from penstock_server.engines.duckdb.sandbox import landlock
from support.small_lake import write_world


def looked_at(found: Iterator[Finding], claim: str) -> Finding:
    (one,) = [each for each in found if claim in each.claim]
    return one


def test_a_good_machine_is_exit_code_0_and_every_line_has_a_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_world(tmp_path, port=50051)
    assert run(["doctor", "--config", str(config), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["healthy"] is True
    subjects = {each["subject"] for each in told["findings"]}
    assert subjects == {"installation", "barriers", "configuration", "folders", "issuers", "machine"}
    proved = [each for each in told["findings"] if each["claim"] == "a sealed process that tries to get out does not"]
    assert [each["verdict"] for each in proved] == ["ok"]
    assert all((each["verdict"] == "ok") is (each["fix"] == "") for each in told["findings"])


def test_a_configuration_that_cannot_be_read_is_told_with_its_fix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "penstock.yaml"
    config.write_text("sever: {}\n")
    assert run(["doctor", "--config", str(config)]) == 1
    lines = capsys.readouterr().out.splitlines()
    problem = next(number for number, line in enumerate(lines) if "sever" in line)
    assert lines[problem].startswith("failed ")
    assert lines[problem + 1].strip().startswith("fix: ")


def test_a_kernel_without_landlock_fails_and_nothing_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    assert run(["doctor", "--config", str(write_world(tmp_path, port=50051))]) == 1
    printed = capsys.readouterr().out
    assert "failed       barriers: Landlock closes the file system and the network" in printed
    assert "tries to get out" not in printed


def test_a_key_that_others_may_read_fails(tmp_path: Path) -> None:
    key = tmp_path / "server.key"
    key.write_text("secret")
    key.chmod(0o640)
    found = files._private(key)
    assert (found.verdict, found.detail) == (Verdict.FAILED, "its mode is 640")
    key.chmod(0o600)
    assert files._private(key).verdict is Verdict.OK


def test_a_policy_that_others_may_write_fails(tmp_path: Path) -> None:
    config = write_world(tmp_path, port=50051)
    (tmp_path / "policies").chmod(0o777)
    found = looked_at(files.findings(load(config, environ={}), environ={}), str(tmp_path / "policies"))
    assert found.verdict is Verdict.FAILED
    assert "go-w" in found.fix


def test_a_secret_that_is_not_there_fails_and_is_never_printed(tmp_path: Path) -> None:
    config = write_world(tmp_path, port=50051)
    with config.open("a") as more:
        more.write(
            "credentials:\n  aws:\n    region: eu-west-1\n    roles:\n      lake: "
            '{arn: "arn:aws:iam::111122223333:role/lake", external_id: "env:PENSTOCK_TEST_ID", '
            'serves: ["arn:aws:s3:::acme-lake/*"]}\n'
        )
    settings = load(config, environ={})
    assert looked_at(files.findings(settings, environ={}), "PENSTOCK_TEST_ID").verdict is Verdict.FAILED
    found = looked_at(files.findings(settings, environ={"PENSTOCK_TEST_ID": "canary-4711"}), "PENSTOCK_TEST_ID")
    assert found.verdict is Verdict.OK
    assert "canary" not in str(found)


def test_an_issuer_without_keys_fails(tmp_path: Path) -> None:
    settings = load(write_world(tmp_path, port=50051), environ={})
    (tmp_path / "keys.json").write_text('{"keys": []}')
    (found,) = issuers.findings(settings.identity.issuers)
    assert found.verdict is Verdict.FAILED


def test_memory_that_one_query_would_exhaust_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(write_world(tmp_path, port=50051), environ={})
    monkeypatch.setattr(machine, "memory_bytes", lambda: 100 * 2**20)
    assert looked_at(machine.findings(settings), "the memory holds").verdict is Verdict.FAILED


def test_another_version_of_what_enforces_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "version", lambda _: "0.0.1")
    found = looked_at(installation.findings(), "duckdb")
    assert (found.verdict, found.detail) == (Verdict.FAILED, "0.0.1 where 2.0.0 was")


def test_a_kernel_without_sealed_memory_files_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise OSError(38, os.strerror(38))

    monkeypatch.setattr(os, "memfd_create", refused)
    assert looked_at(barriers.findings(), "memory files").verdict is Verdict.FAILED


def test_nothing_looked_at_is_no_health() -> None:
    assert finding.exit_code(()) == 1
    assert finding.exit_code((finding.ok("a", "b"),)) == 0
    assert finding.exit_code((finding.cannot_know("a", "b", "c", fix="d"),)) == 0
