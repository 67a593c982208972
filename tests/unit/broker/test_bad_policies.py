"""Every kind of bad input, one by one, under a running policy: refused with place and reason, the running one stays."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from penstock_server.broker.reloading import Cause
from penstock_server.errors import PenstockError, QueryError, Reason
from support.loading import LoadingBench, loading_bench

GRANT = """\
version: 1
grants:
  - {{name: g, principals: [everyone], resource: lake.nyc.flights, permissions: [SELECT], {0}}}
"""
DATASET = """\
version: 1
row_rules:
  - {resource: lake.nyc.flights, name: r, rules: {file: rules.csv}}
"""
QUERIED = """\
version: 1
row_rules:
  - resource: lake.nyc.flights
    name: r
    rules: {query: select 1, catalog: lake}
"""


@dataclass(frozen=True, kw_only=True)
class Bad:
    """Files beside the running policy, what queries answer, and what the report has to begin with and to hold."""

    id: str
    files: Mapping[str, str | bytes]
    at: str
    why: str
    answers: Mapping[str, str | PenstockError] = field(default_factory=dict)


def _rows(id_: str, filter_: str, why: str) -> Bad:
    return Bad(id=id_, files={"bad.yaml": GRANT.format(f"rows: {filter_}")}, at="bad.yaml:3", why=why)


def _rules(id_: str, rules: str | bytes, at: str, why: str) -> Bad:
    return Bad(id=id_, files={"bad.yaml": DATASET, "rules.csv": rules}, at=at, why=why)


CASES = [
    Bad(id="malformed-yaml", files={"bad.yaml": "version: 1\ngrants: [{\n"}, at="bad.yaml:3", why=""),
    Bad(id="yaml-that-is-not-utf8", files={"bad.yaml": b"version: 1\nmasks: {\xe4: {}}\n"}, at="bad.yaml", why="UTF-8"),
    Bad(
        id="yaml-nested-deeply",
        files={"bad.yaml": "version: 1\ngrants: " + "[" * 10_000 + "]" * 10_000},
        at="bad.yaml:2",
        why="",
    ),
    Bad(id="duplicate-key", files={"bad.yaml": "version: 1\nversion: 1\n"}, at="bad.yaml:2", why="version"),
    Bad(
        id="duplicate-name-of-a-grant",
        files={"bad.yaml": GRANT.format("columns: {include: [month]}"), "c.yaml": GRANT.format("rows: month = 1")},
        at="c.yaml:3",
        why="stands at",
    ),
    Bad(
        id="unknown-tag",
        files={
            "bad.yaml": "version: 1\ngrants:\n  - {name: g, principals: [everyone], permissions: [SELECT], "
            "tag_expression: {nowhere: [x]}}\n"
        },
        at="bad.yaml:3",
        why="no tag `nowhere` is declared",
    ),
    Bad(
        id="unknown-value-of-a-tag",
        files={"bad.yaml": "version: 1\ntags: {a: [x]}\ntagged:\n  - {resource: lake.nyc, tags: {a: y}}\n"},
        at="bad.yaml:4",
        why="`y` is no value of the tag `a`",
    ),
    _rules("rules-with-a-bom", b"\xef\xbb\xbfUserName,origin\nalice,JFK\n", "rules.csv:1", "byte order mark"),
    _rules("rules-with-a-lone-return", "UserName,origin\ralice,JFK\n", "rules.csv:1", "U+000D"),
    _rules("rules-without-an-identity", "origin\nJFK\n", "rules.csv:1", "UserName"),
    _rules("rules-with-an-unknown-column", "UserName,nowhere\nalice,JFK\n", "rules.csv:1", "nowhere"),
    _rules("rules-with-a-short-row", "UserName,origin\nalice\n", "rules.csv:2", "1 field and the header 2"),
    _rules(
        "rules-with-user-and-group", "UserName,GroupName,origin\na,b,JFK\n", "rules.csv:2", "both a user and a group"
    ),
    _rules("rules-with-a-cell-of-10-mb", "UserName,origin\nalice," + "x" * 10_000_000, "rules.csv:2", "4194304"),
    _rules(
        "rules-with-a-list-of-10-mb", 'UserName,origin\nalice,"' + "JFK," * 2_500_000 + 'x"', "rules.csv:2", "4194304"
    ),
    _rules("rules-with-a-name-of-10-mb", f"UserName,origin\n{'x' * 10_000_000},JFK", "rules.csv:2", "256"),
    _rules("rules-that-are-not-utf8", b"UserName,origin\nalice,\xff\n", "rules.csv:2", "UTF-8"),
    Bad(id="rules-that-are-not-there", files={"bad.yaml": DATASET}, at="bad.yaml:3", why="cannot be read"),
    Bad(
        id="rules-query-that-fails",
        files={"bad.yaml": QUERIED},
        answers={"select 1": QueryError(Reason.SQL_BINDING, "no such table", hint="", metadata=())},
        at="bad.yaml:5",
        why="no such table",
    ),
    Bad(
        id="rules-query-of-other-columns",
        files={"bad.yaml": QUERIED},
        answers={"select 1": "UserName,nowhere\nalice,x\n"},
        at="bad.yaml:5",
        why="nowhere",
    ),
    _rows("filter-of-2049-characters", '"month = 1' + " " * 2_040 + '"', "longer than 2048"),
    _rows("filter-on-a-missing-column", "nowhere = 1", "nowhere"),
    _rows("filter-with-a-statement", '"1=1; drop"', "character"),
    _rows("filter-with-a-function", "\"lower(origin) = 'x'\"", "character"),
    _rows("filter-that-compares-columns", "month = origin", "character"),
    _rows("filter-nested-deeply", f'"{"(" * 500}month = 1{")" * 500}"', "character"),
    _rows("filter-of-many-nots", f'"{"NOT " * 500}month = 1"', "character"),
]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[LoadingBench]:
    made = loading_bench(tmp_path)
    await made.loader.start()
    yield made
    await made.loader.close()
    await made.audit.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_bad_input_is_refused_with_place_and_reason_and_the_running_policy_stays(
    case: Bad, bench: LoadingBench
) -> None:
    before = bench.policies.bound()
    folder = bench.policy_file.parent
    for name, content in case.files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    bench.rules.given.update(case.answers)
    outcome = await bench.loader.reload(Cause.FILES)
    assert outcome.failed
    assert bench.policies.bound() is before
    found = [problem for problem in outcome.problems if problem.startswith(f"{folder / case.at}")]
    assert any(case.why in problem for problem in found), outcome.problems
    assert all(len(problem) < 1_000 for problem in outcome.problems)
    for name in case.files:
        (folder / name).unlink()
    assert not (await bench.loader.reload(Cause.FILES)).failed
