"""`penstock-server policy test`: cases pass where the decision is as they say, and fail readably where not."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import duckdb
import pytest
from penstock_server.cli.main import run
from penstock_server.cli.policy_cases.cases import CaseResult
from penstock_server.cli.policy_cases.checking import check
from penstock_server.cli.policy_cases.formats import write_text
from penstock_server.cli.policy_cases.reading import read_cases
from penstock_server.cli.policy_loading import load_from
from penstock_server.cli.policy_test import results_of
from penstock_server.cli.terminal import Terminal
from penstock_server.config.loading import load
from penstock_server.config.principals import known_issuers
from penstock_server.config.settings import Settings
from penstock_server.dev.data import write_lake
from penstock_server.dev.environment import SAMPLE
from penstock_server.errors import ConfigurationError
from penstock_server.policy.bound import BoundPolicy
from support.policies import ISSUERS
from support.small_lake import write_lake as write_lake_of_tests
from support.small_lake import write_world

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
POLICY = """\
version: 1
masks:
  last: {rank: 10, builtin: partial, keep_last: 2}
grants:
  - name: own
    principals: ["group:g"]
    resource: lake.main.things
    permissions: [SELECT]
    columns: {exclude: [hidden]}
    rows: "amount >= 10.50 AND day < DATE '2026-01-01'"
    masks: {name: last}
  - name: later
    principals: ["group:g"]
    resource: lake.main.things
    permissions: [SELECT]
    conditions: {IpAddress: {"penstock:SourceIp": ["10.0.0.0/8"]}}
  - name: known
    principals: ["group:denied"]
    resource: lake.main.things
    permissions: [SELECT]
denials:
  - {resource: lake.main.things, except_principals: ["group:g"], permissions: [SELECT]}
"""
CASES = """\
version: 1
cases:
  - name: typed cells
    principal: {user: u, groups: [g]}
    table: lake.main.things
    expect: {access: select, masks: {name: last}, columns: [day, amount, name, tags, place, seen_at, big]}
    given:
      - {amount: 10.50, day: 2025-12-31, name: alpha, tags: [a, b], place: {city: Rome, zip: 1}, hidden: x,
         seen_at: "2025-12-31 12:00:00+01", big: 170141183460469231731687303715884105727}
      - {amount: 10.49, day: 2025-12-31}
      - {amount: 11, day: 2026-01-01}
      - {amount: 11}
    seen:
      - {amount: 10.5, day: 2025-12-31, name: "***ha", tags: [a, b], place: {city: Rome, zip: 1},
         seen_at: "2025-12-31T11:00:00Z", big: 170141183460469231731687303715884105727}
  - name: a denial
    principal: {user: u, groups: [denied]}
    table: lake.main.things
    expect: {access: denied}
  - name: from the office everything is clear
    principal: {user: u, groups: [g]}
    from: 10.1.1.1
    table: main.things
    expect: {rows: "TRUE", masks: {}, grants: [own, later]}
"""


@pytest.fixture(scope="module")
def typed_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog with types that a file of rows can only write as text."""
    folder = tmp_path_factory.mktemp("typed")
    with duckdb.connect(str(folder / "things.duckdb")) as writer:
        writer.execute(
            "CREATE TABLE things (day DATE, amount DECIMAL(12,2), name VARCHAR, tags VARCHAR[], "
            "place STRUCT(city VARCHAR, zip INTEGER), seen_at TIMESTAMPTZ, big HUGEINT, hidden VARCHAR)"
        )
    path = write_world(folder, port=50051, policy=POLICY)
    path.write_text(path.read_text().replace("parquet: lake", "database: things.duckdb"))
    return path


@dataclass(frozen=True, kw_only=True)
class Typed:
    """The typed world, loaded once."""

    settings: Settings
    policy: BoundPolicy

    def check(self, *files: Path) -> tuple[CaseResult, ...]:
        """What comes of the cases of these files."""
        cases = read_cases(files, known_issuers(self.settings.identity.issuers), now=NOW)
        return asyncio.run(check(cases, self.policy, self.settings))


@pytest.fixture(scope="module")
def typed(typed_world: Path) -> Typed:
    settings = load(typed_world, environ={})
    return Typed(settings=settings, policy=asyncio.run(load_from(settings, settings.policies)).bound)


def run_cases(world: Path, folder: Path, text: str, *arguments: str) -> int:
    (folder / "cases.yaml").write_text(text)
    return run(["policy", "test", str(folder / "cases.yaml"), "--config", str(world), *arguments])


def test_cells_of_many_types_go_through_the_engine(
    typed_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cases(typed_world, tmp_path, CASES) == 0, capsys.readouterr().out
    assert "3 cases, all as expected" in capsys.readouterr().out


VARIANTS = [
    ("access: select", "access: describe", ["- access: describe", "+ access: select"]),
    ("{access: denied}", "{access: not found}", ["- access: not found", "+ access: denied (reading the table"]),
    ("{name: last}, columns", "{}, columns", ["- masks: none", "+ masks: name: last"]),
    ("seen_at, big]", "seen_at]", ["- columns: day, amount", "+ columns: day, amount"]),
    ('rows: "TRUE"', 'rows: "amount = 1"', ["- rows: amount = 1", "+ rows: TRUE"]),
    ("[own, later]", "[own]", ["- grants: own", "+ grants: later, own"]),
    ('"***ha"', '"**pha"', ["name: '**pha'", "name: '***ha'"]),
    ("amount: 10.49", "amount: 10.51", ["+ seen: {day: '2025-12-31', amount: '10.51'"]),
    ("from: 10.1.1.1", "from: 11.1.1.1", ["+ masks: name: last"]),
]


def test_whatever_differs_is_told(typed: Typed, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = []
    for number, (old, new, _) in enumerate(VARIANTS):
        assert CASES.count(old) == 1
        files.append(tmp_path / f"{number}.yaml")
        files[-1].write_text(CASES.replace(old, new))
    results = typed.check(*files)
    for number, (_, _, told) in enumerate(VARIANTS):
        write_text(results[3 * number : 3 * number + 3], Terminal())
        out = capsys.readouterr().out
        assert "3 cases, 1 failed" in out
        assert f"{number}.yaml:" in out
        for line in told:
            assert line in out


def test_junit_names_the_cases_that_fail(typed_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = CASES.replace("{access: denied}", "{access: select}").replace("name: a denial", 'name: "<a\\u202e> & b"')
    assert run_cases(typed_world, tmp_path, text, "--format", "junit") == 1
    suites = ET.fromstring(capsys.readouterr().out)
    assert (suites.get("tests"), suites.get("failures")) == ("3", "1")
    [failed] = [case for case in suites.iter("testcase") if case.find("failure") is not None]
    assert failed.get("name") == "<a\\u202e> & b"
    assert "+ access: denied" in (failed.findtext("failure") or "")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("amount: 10.49", "amount: much", "the row does not fit the table"),
        ("amount: 10.49", "amont: 1", "has no column `amont`"),
        ('name: "***ha"', "hidden: x", "is seen no column `hidden`"),
        ("{amount: 11}", "{amount: 11, AMOUNT: 12}", "stands twice"),
    ],
)
def test_rows_that_do_not_fit_are_problems_with_their_place(
    typed: Typed, tmp_path: Path, old: str, new: str, says: str
) -> None:
    path = tmp_path / "cases.yaml"
    path.write_text(CASES.replace(old, new))
    with pytest.raises(ConfigurationError) as raised:
        typed.check(path)
    [problem] = raised.value.problems
    assert problem.startswith(f"{path}:")
    assert says in problem


CASE = "version: 1\ncases:\n  - {{name: n, principal: {{user: u}}, table: t, expect: {{access: select}}{more}}}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cases: []\n", "needs `version`"),
        ("version: 1\ncases: []\n", "at least one case"),
        ("version: 1\n", "needs `cases`"),
        ("version: 1\ncases: [x]\n", "a case must hold keys"),
        (CASE.format(more=", aws: {resources: [a], access: [read]}"), "exactly one of"),
        (CASE.format(more=", colums: []"), "unknown key `colums`"),
        (CASE.format(more=", given: []"), "needs `seen`"),
        (CASE.format(more="").replace(", expect: {access: select}", ""), "expects nothing"),
        (CASE.format(more="").replace("{access: select}", "{}"), "must hold keys with values"),
        (CASE.format(more="").replace("select", "allowed"), "is no access here"),
        (CASE.format(more="").replace("user: u", "user: ''"), "`user` is empty"),
        (CASE.format(more="").replace("user: u", "user: 'https://elsewhere|1'"), "not configured"),
        (CASE.format(more=", at: 2026-01-01"), "is not an instant"),
        (CASE.format(more=", from: office"), "IP address"),
        (CASE.format(more="").replace("table: t", "redshift: x, given: [], seen: []"), "belong to a case about"),
        (CASE.format(more="").replace("table: t", "aws: {resources: [a], access: [delete]}"), "no access; write"),
        (CASE.format(more="").replace("access: select", "max_ttl: 1h"), "unknown key `max_ttl`"),
        (CASE.format(more="").replace("access: select}", "\n    rows: a = 1 # b\n    }"), "begins a comment"),
    ],
)
def test_cases_that_cannot_be_meant_are_refused_with_their_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "cases.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        read_cases([path], ISSUERS, now=NOW)
    assert any(problem.startswith(f"{path}:") and says in problem for problem in raised.value.problems)


def test_the_sample_passes_its_own_tests(tmp_path: Path) -> None:
    shutil.copytree(SAMPLE, tmp_path, dirs_exist_ok=True)
    write_lake(tmp_path / "lake")
    settings = load(tmp_path / "penstock.yaml", environ={})
    files = sorted((tmp_path / "policy-tests").glob("*.yaml"))
    results = asyncio.run(results_of(settings, files, settings.policies, now=NOW))
    assert len(results) == 11
    assert [(result.case.name, result.mismatches) for result in results if not result.passed] == []


def test_the_starter_passes_its_own_tests_and_they_see_a_grant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lake_of_tests(tmp_path / "lake")
    monkeypatch.chdir(tmp_path)
    assert run(["init", "lake"]) == 0
    assert run(["policy", "test", "policy-tests/starter.yaml"]) == 0
    policy = tmp_path / "policies" / "starter.yaml"
    policy.write_text(policy.read_text().replace("[DESCRIBE]", "[SELECT]", 1))
    assert run(["policy", "test", "policy-tests/starter.yaml"]) == 1
    assert "+ access: select" in capsys.readouterr().out
