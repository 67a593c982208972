"""`penstock-server policy plan` over real catalogs: verdicts, exit codes and all formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from penstock_server.cli.main import run
from support.small_lake import POLICY, write_world

_WIDER = POLICY.replace("rows: \"origin = 'JFK'\"", "rows: \"origin IN ('JFK', 'EWR')\"")
_NARROWER = POLICY.replace("rows: \"origin = 'JFK'\"", "rows: \"origin = 'JFK' AND delay > 10\"")
_OF_ONE_CLAIM = "delay = :user.attributes.home AND origin = :user.attributes.home AND origin = 'JFK'"
_UNDECIDED = POLICY.replace("rows: \"origin = 'JFK'\"", f"rows: \"origin = 'LGA' OR {_OF_ONE_CLAIM}\"")
_RENAMED = POLICY.replace("analysts-read-flights", "analysts")
_SENTENCE = "somebody in group:analysts would newly see a row with origin='EWR'"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_world(folder, port=50051)
    policies = {"old": POLICY, "wider": _WIDER, "narrower": _NARROWER, "renamed": _RENAMED, "undecided": _UNDECIDED}
    for name, text in policies.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def _plan(world: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, *options: str) -> tuple[int, str, str]:
    config = str(world / "penstock.yaml")
    code = run(["policy", "plan", str(world / old), str(world / new), "--config", config, *options])
    written = capsys.readouterr()
    return code, written.out, written.err


def test_a_wider_policy_is_exit_code_2_with_a_row_as_witness(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = _plan(world, capsys, "old.yaml", "wider.yaml")
    assert (code, err) == (2, "")
    lines = [line.strip() for line in out.splitlines()]
    assert lines[:-1] == [
        "WIDENING   table lake.nyc.flights",
        "WIDENING   somebody in group:analysts",
        f"+ {_SENTENCE}",
    ]
    assert lines[-1].startswith("WIDENING   from ")
    assert lines[-1].endswith("1 changed, 4 the same")


def test_what_cannot_be_decided_is_exit_code_2(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # No attribute is the text JFK and a whole number at once, which the proof does not know.
    (world / "nowhere.yaml").write_text(_UNDECIDED.replace(f" OR {_OF_ONE_CLAIM}", ""))
    code, out, err = _plan(world, capsys, "nowhere.yaml", "undecided.yaml")
    assert (code, err) == (2, "")
    assert out.startswith("UNDECIDED  table lake.nyc.flights\n")
    assert "that the serving evaluator does not bear out" in out


def test_a_narrower_policy_is_exit_code_0_and_its_inference_2_under_strict(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = _plan(world, capsys, "old.yaml", "narrower.yaml")
    assert code == 0
    assert "NARROWING  table lake.nyc.flights" in out
    assert "inference  delay is not shown to somebody in group:analysts, yet the row is there for " in out
    assert _plan(world, capsys, "old.yaml", "narrower.yaml", "--strict")[0] == 2


def test_a_renamed_grant_changes_nothing(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _plan(world, capsys, "old.yaml", "renamed.yaml", "--strict")
    assert code == 0
    assert out.startswith("SAME       from ")
    assert "0 changed, 5 the same" in out


def test_a_folder_of_policies_is_a_version_too(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = world / "folder"
    folder.mkdir(exist_ok=True)
    (folder / "policy.yaml").write_text(_WIDER)
    assert _plan(world, capsys, "folder", "wider.yaml")[0] == 0


def test_a_policy_that_does_not_fit_is_exit_code_1_with_its_place(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (world / "broken.yaml").write_text(POLICY.replace("lake.nyc.weather", "lake.nyc.wheather"))
    code, out, err = _plan(world, capsys, "old.yaml", "broken.yaml")
    assert (code, out) == (1, "")
    assert "broken.yaml:" in err
    assert "`lake.nyc.wheather`" in err


def test_a_file_that_is_not_there_is_wrong_usage(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _plan(world, capsys, "old.yaml", "missing.yaml")
    assert code != 0
    assert out == ""


def test_json_holds_the_verdict_and_the_witness(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _plan(world, capsys, "old.yaml", "wider.yaml", "--format", "json")
    plan: dict[str, Any] = json.loads(out)
    assert code == 2
    assert (plan["verdict"], plan["unchanged"]) == ("WIDENING", 4)
    (subject,) = plan["subjects"]
    assert (subject["kind"], subject["name"], subject["verdict"]) == ("table", "lake.nyc.flights", "WIDENING")
    (gain,) = subject["classes"][0]["gains"]
    assert gain["sentence"] == _SENTENCE
    assert (gain["kind"], gain["row"], gain["principal"]["groups"]) == ("row", {"origin": "'EWR'"}, ["analysts"])


def test_sarif_has_an_error_for_each_gain(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _plan(world, capsys, "old.yaml", "wider.yaml", "--format", "sarif")
    log: dict[str, Any] = json.loads(out)
    (run_,) = log["runs"]
    (result,) = run_["results"]
    assert (code, log["version"]) == (2, "2.1.0")
    assert (result["ruleId"], result["level"]) == ("widening", "error")
    assert result["message"]["text"] == f"lake.nyc.flights: {_SENTENCE}"
    assert {rule["id"] for rule in run_["tool"]["driver"]["rules"]} >= {"widening", "undecided"}


def test_junit_has_a_failure_for_each_class_that_sees_more(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _plan(world, capsys, "old.yaml", "wider.yaml", "--format", "junit")
    suites = ET.fromstring(out)
    assert code == 2
    assert suites.get("failures") == "1"
    (failure,) = suites.iter("failure")
    assert failure.get("message") == _SENTENCE


def test_markdown_is_a_comment_for_a_pull_request(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _plan(world, capsys, "old.yaml", "wider.yaml", "--format", "markdown")
    assert code == 2
    assert out.startswith("## Policy plan: 🔴 WIDENING\n")
    assert "  - **more**: somebody in group:analysts would newly see a row with origin='EWR'" in out
