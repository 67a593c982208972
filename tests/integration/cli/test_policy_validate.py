"""`penstock-server policy validate`, against real catalogs and without."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from penstock_server.cli.main import run
from support.small_lake import POLICY, write_world

WARNED = POLICY.replace("builtin: redact}", "builtin: partial, keep_last: 4}")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("world"), port=50051)


def draft(folder: Path, text: str) -> Path:
    path = folder / "draft.yaml"
    path.write_text(text)
    return path


def validate(world: Path, *arguments: object) -> int:
    return run(["policy", "validate", *map(str, arguments), "--config", str(world)])


def test_a_good_policy_is_valid(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate(world) == 0
    assert "policy version" in capsys.readouterr().out


def test_what_does_not_fit_the_catalogs_is_told_with_its_place(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = draft(tmp_path, POLICY.replace("[delay]", "[dely]").replace("lake.nyc.weather", "lake.nyc.wether"))
    assert validate(world, path) == 1
    told = capsys.readouterr().err
    assert f"{path}:9: " in told
    assert "`dely`" in told
    assert "problems: 3" in told


def test_offline_says_what_it_did_not_look_at_and_finds_the_rest(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = draft(tmp_path, POLICY.replace("[delay]", "[dely]"))
    assert validate(world, path, "--offline") == 0
    assert "not checked" in capsys.readouterr().out
    for broken, says in (
        (POLICY.replace("rank: 90", "rank: ninety"), "rank"),
        (POLICY.replace("'JFK'\"", "'JFK\""), "rows"),
        (POLICY.replace("lake.nyc.weather", "lakes.nyc.weather"), "no catalog `lakes`"),
        (f"{POLICY}tags: {{k: [v]}}\ntagged: [{{resource: lakes.nyc, tags: {{k: v}}}}]\n", "no catalog `lakes`"),
        (
            POLICY + "column_rules: [{resource: lakes.nyc.x, columns: [a], principals: [everyone]}]\n",
            "no catalog `lakes`",
        ),
        (POLICY + "filters: {f: {resource: lakes.nyc.x, rows: 'a = 1'}}\n", "no catalog `lakes`"),
        (
            POLICY + "denials: [{resource: lakes.nyc.x, except_principals: [everyone], permissions: [SELECT]}]\n",
            "no catalog `lakes`",
        ),
        (
            POLICY + "  - name: login\n    principals: [everyone]\n    resource: redshift:x\n"
            "    permissions: [CONNECT]\n    database_groups: [g]\n",
            "no Redshift login `x`",
        ),
    ):
        assert validate(world, draft(tmp_path, broken), "--offline") == 1
        assert says in capsys.readouterr().err


def test_warnings_do_not_fail_unless_asked_to(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = draft(tmp_path, WARNED)
    assert validate(world, path, "--offline") == 0
    assert f"warning      {path}:3: the mask `hidden-tail`" in capsys.readouterr().out
    assert validate(world, path, "--offline", "--strict") == 1


def test_json_has_everything(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = draft(tmp_path, WARNED)
    assert validate(world, path, "--offline", "--format", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["valid"], told["paths"], told["problems"]) == (True, [str(path)], [])
    assert len(told["version"]) == 64
    assert (told["warnings"][0]["path"], told["warnings"][0]["line"]) == (str(path), 3)
    assert validate(world, draft(tmp_path, "version: 2\n"), "--offline", "--format", "json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["valid"], told["version"]) == (False, None)
    assert told["problems"][0]["line"] == 1


def test_sarif_and_junit_carry_the_same_problems(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = draft(tmp_path, POLICY.replace("rank: 90", "rank: <&]]>"))
    assert validate(world, path, "--offline", "--format", "sarif") == 1
    [result] = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert (result["level"], place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("error", str(path), 3)
    assert validate(world, path, "--offline", "--format", "junit") == 1
    suites = ET.fromstring(capsys.readouterr().out)
    assert suites.get("failures") == "1"
    assert result["message"]["text"] in (suites.findtext(".//failure") or "")


@pytest.mark.parametrize("form", ["text", "json", "sarif", "junit"])
def test_hostile_names_do_not_reach_the_terminal(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    path = draft(tmp_path, 'version: 1\n"a\\e[2J": 1\n')
    assert validate(world, path, "--offline", "--format", form) == 1
    told = capsys.readouterr()
    assert "2J" in told.out + told.err
    assert "\x1b" not in told.out + told.err
