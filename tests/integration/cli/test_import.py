"""`penstock-server import` over a folder of Parquet: files, report, exit codes; the result is a policy that loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from penstock_server.cli.main import run
from support.imports import ACCOUNT, MAPPING, ROLE, VECTORS, lake_table, only, permission, recorded
from support.small_lake import write_world

QUICKSIGHT = VECTORS / "quicksight"
READERS = {
    "user/default/JohnDoe": "user:john",
    "user/default/JaneDoe": "user:jane",
    "user/default/AnnOther": "user:ann",
    "user/default/MrCEO": "user:ceo",
    "group/default/eng": "group:engineers",
    "group/default/board": "group:board",
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A server whose lake also holds the tables of the recorded answers."""
    path = write_world(tmp_path, port=50051)
    write(tmp_path / "lake" / "db" / "t.parquet", id=[1], country=["US"], year=[2018], amount=[10], ssn=["111"])
    write(tmp_path / "lake" / "db" / "u.parquet", id=[1], rate=[0.5], ok=[True])
    write(
        tmp_path / "lake" / "bi" / "sales.parquet",
        region=["AMER"],
        industry=["Tech"],
        segment=["SMB"],
        amount=[1],
        margin=[2],
    )
    return path


def write(path: Path, **columns: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def mapping(folder: Path, principals: dict[str, str]) -> Path:
    path = folder / "mapping.yaml"
    path.write_text(json.dumps({"principals": principals}))
    return path


def import_lake(folder: Path, config: Path, answers: Path, principals: dict[str, str] = MAPPING) -> int:
    arguments = ["import", "lakeformation", "--config", str(config), "--answers", str(answers)]
    arguments += ["--account", ACCOUNT, "--catalog", "lake", "--mapping", str(mapping(folder, principals))]
    return run([*arguments, "--output", str(folder / "out")])


def test_a_recorded_estate_gives_a_policy_that_a_server_accepts(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert import_lake(tmp_path, config, VECTORS / "lakeformation") == 2
    assert capsys.readouterr().out.splitlines()[-1] == "compared 13, different 0, not carried over 19"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["lakeformation.md", "lakeformation.yaml"]
    config.write_text(config.read_text().replace("policies: [policies]", "policies: [policies, out]"))
    assert run(["check", "--config", str(config)]) == 0


def test_an_estate_that_is_carried_over_as_a_whole_is_exit_code_0(tmp_path: Path, config: Path) -> None:
    answers = recorded(tmp_path / "answers", only(permission(lake_table("t"), "SELECT")))
    assert import_lake(tmp_path, config, answers) == 0
    assert "## Not carried over\n\nNothing." in (tmp_path / "out" / "lakeformation.md").read_text()


def test_a_policy_that_would_differ_is_not_written_and_exit_code_1(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = import_lake(tmp_path, config, VECTORS / "lakeformation", {**MAPPING, f"{ROLE}finance": "group:analysts"})
    assert code == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["lakeformation.md"]
    assert "it was not written" in capsys.readouterr().err


def test_nothing_that_exists_is_overwritten(tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "lakeformation.yaml").write_text("mine")
    assert import_lake(tmp_path, config, VECTORS / "lakeformation") == 1
    assert "lakeformation.yaml: exists already" in capsys.readouterr().err
    assert [path.read_text() for path in (tmp_path / "out").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("principals", "problem"),
    [
        ({"x": "everyone"}, "cannot stand for one AWS principal"),
        ({"x": "analysts"}, "names no principal"),
        ({"x": 1}, "needs the name of one principal as text"),
    ],
)
def test_a_mapping_that_names_nobody_is_told_with_its_line(
    tmp_path: Path, config: Path, principals: dict[str, Any], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert import_lake(tmp_path, config, VECTORS / "lakeformation", principals) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"{tmp_path}/mapping.yaml:1: ")
    assert problem in error
    assert not (tmp_path / "out").exists()


def import_dataset(folder: Path, config: Path, *more: str) -> int:
    arguments = [
        "import",
        "quicksight",
        "--config",
        str(config),
        "--dataset",
        str(QUICKSIGHT / "describe-data-set.json"),
    ]
    arguments += ["--table", "lake.bi.sales", "--mapping", str(mapping(folder, READERS))]
    return run([*arguments, "--output", str(folder / "out"), *more])


def test_a_recorded_dataset_gives_a_policy_that_a_server_accepts(tmp_path: Path, config: Path) -> None:
    assert import_dataset(tmp_path, config, "--rules", str(QUICKSIGHT / "rules.csv"), "--reader", "everyone") == 0
    names = ["quicksight-bi.sales.csv", "quicksight-bi.sales.md", "quicksight-bi.sales.yaml"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    config.write_text(config.read_text().replace("policies: [policies]", "policies: [policies, out]"))
    assert run(["check", "--config", str(config)]) == 0


def test_a_dataset_without_readers_gives_a_report_alone(tmp_path: Path, config: Path) -> None:
    assert import_dataset(tmp_path, config, "--rules", str(QUICKSIGHT / "rules.csv")) == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["quicksight-bi.sales.md"]


@pytest.mark.parametrize(
    "more", [["--reader", "nobody"], ["--table", "lake.*"], ["--answers", "x"]], ids=["reader", "table", "option"]
)
def test_wrong_usage_is_told(tmp_path: Path, config: Path, more: list[str]) -> None:
    assert import_dataset(tmp_path, config, *more) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("source", [[], ["--answers", "a", "--region", "eu-west-1"]], ids=["neither", "both"])
def test_answers_come_from_exactly_one_source(tmp_path: Path, source: list[str]) -> None:
    arguments = ["import", "lakeformation", "--account", ACCOUNT, "--catalog", "lake"]
    arguments += ["--mapping", "m", "--output", str(tmp_path / "out")]
    assert run([*arguments, *source]) == 2


def test_a_catalog_that_is_not_configured_is_told(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert import_dataset(tmp_path, config, "--table", "nope.bi.sales") == 1
    assert "there is no catalog `nope`" in capsys.readouterr().err
    assert import_dataset(tmp_path, config, "--table", "lake.bi.nope") == 1
    assert "there is no table `lake.bi.nope`" in capsys.readouterr().err
