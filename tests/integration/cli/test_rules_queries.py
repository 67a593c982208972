"""Rules queries in `check` and `policy plan`, over real catalogs."""

from __future__ import annotations

from pathlib import Path

import pytest
from penstock_server.cli.main import run
from support.small_lake import POLICY, write_world

QUERY = """SELECT 'analysts' AS "GroupName", carrier AS origin FROM nyc.airlines"""
RULES = """\
row_rules:
  - resource: lake.nyc.flights
    name: origins
    rules:
      catalog: lake
      query: |
        {query}
"""
WIDER = POLICY.replace("rows: \"origin = 'JFK'\"", "rows: \"origin IN ('JFK', 'EWR')\"")


def with_query(query: str, policy: str = POLICY) -> str:
    return policy + RULES.format(query=query)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_world(folder, port=50051)
    return folder


def check(world: Path, capsys: pytest.CaptureFixture[str], policy: str) -> tuple[int, str, str]:
    (world / "policies" / "nyc.yaml").write_text(policy)
    code = run(["check", "--config", str(world / "penstock.yaml")])
    written = capsys.readouterr()
    return code, written.out, written.err


def plan(world: Path, capsys: pytest.CaptureFixture[str], old: str, new: str) -> tuple[int, str, str]:
    (world / "old.yaml").write_text(old)
    (world / "new.yaml").write_text(new)
    paths = [str(world / "old.yaml"), str(world / "new.yaml")]
    code = run(["policy", "plan", *paths, "--config", str(world / "penstock.yaml")])
    written = capsys.readouterr()
    return code, written.out, written.err


def test_check_asks_the_queries(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = check(world, capsys, with_query(QUERY))
    assert (code, err) == (0, "")
    assert "rules: 1 dataset from queries" in out


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        (
            """SELECT name AS "UserName", name::INTEGER::VARCHAR AS origin FROM nyc.salaries""",
            "the rules query is refused: the query failed on the rows of its tables; run it by hand, ",
        ),
        ("DELETE FROM nyc.salaries", "the rules query is refused: only a statement that reads is accepted; "),
        (
            """SELECT name AS "UserName", name AS nope FROM nyc.salaries""",
            "lake.nyc.flights has no column `nope`; an unknown field would restrict nothing, remove or correct it",
        ),
    ],
)
def test_check_tells_where_a_query_is_wrong_and_no_value(
    world: Path, capsys: pytest.CaptureFixture[str], query: str, problem: str
) -> None:
    code, out, err = check(world, capsys, with_query(query))
    assert code == 1
    lines = len(POLICY.splitlines()) + 6
    assert f"{world / 'policies' / 'nyc.yaml'}:{lines}: {problem}" in out + err
    assert "eve" not in out + err
    assert "987654321" not in out + err


def test_a_plan_compares_what_the_queries_give(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jfk = with_query("""SELECT 'analysts' AS "GroupName", 'JFK' AS origin""", WIDER)
    both = with_query("""SELECT 'analysts' AS "GroupName", unnest(['JFK', 'EWR']) AS origin""", WIDER)
    code, out, _ = plan(world, capsys, jfk, both)
    assert code == 2
    assert "somebody in group:analysts would newly see a row with origin='EWR'" in out


def test_a_query_that_both_versions_ask_is_asked_once_and_what_it_gives_counts(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jfk = """SELECT 'analysts' AS "GroupName", 'JFK' AS origin"""
    code, out, _ = plan(world, capsys, with_query(jfk), with_query(jfk, WIDER))
    assert code == 0
    assert "same" in out
    everything = """SELECT 'analysts' AS "GroupName", NULL::VARCHAR AS origin"""
    assert plan(world, capsys, with_query(everything), with_query(everything, WIDER))[0] == 2


def test_versions_that_say_the_same_are_the_same_without_asking(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The query would fail if anybody asked it."""
    failing = """SELECT name AS "UserName", name::INTEGER::VARCHAR AS origin FROM nyc.salaries"""
    assert plan(world, capsys, with_query(failing), with_query(failing).replace("name: numbers", "name: nums"))[0] == 0
    assert plan(world, capsys, with_query(failing), with_query(failing, WIDER))[0] == 1


def test_rules_that_may_grow_older_are_wider(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    longer = with_query(QUERY.replace("carrier", "'JFK'")).replace("catalog:", "max_staleness: 2h\n      catalog:")
    code, out, _ = plan(world, capsys, with_query(QUERY.replace("carrier", "'JFK'")), longer)
    assert code == 2
    assert "WIDENING   table lake.nyc.flights" in out
